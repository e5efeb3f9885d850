"""The service is stopped, or a worker dies, while its workers are replaced one by one (R-22)."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.service import RunningService, running_service, wait_until

pytestmark = pytest.mark.slow

WORKERS = 3
TIMEOUT_SECONDS = 180.0  # on a busy machine
HEADERS = """\
POST /auth/login HTTP/1.1\r
Host: localhost\r
Content-Type: application/json\r
Content-Length: {}\r
Expect: 100-continue\r
\r
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service with three workers; each takes seconds to be replaced."""
    with running_service(f"sqlite:///{tmp_path}/itemsapi.db", tmp_path, workers=WORKERS) as one:
        wait_until(lambda: len(one.pids()) == WORKERS, TIMEOUT_SECONDS)
        yield one


def workers(service: RunningService) -> set[int]:
    """Return the worker processes; none if the service has just ended."""
    try:
        return set(service.pids())
    except (FileNotFoundError, ProcessLookupError):
        return set()


def test_the_other_workers_are_not_replaced_when_the_service_is_to_stop(
    service: RunningService,
) -> None:
    """SIGTERM soon after SIGHUP: a service manager would kill it with its requests."""
    assert service.process is not None
    before = set(service.pids())
    seen = set(before)
    os.kill(service.process.pid, signal.SIGHUP)
    wait_until(lambda: bool(set(service.pids()) - before), TIMEOUT_SECONDS)
    service.process.terminate()

    def has_ended() -> bool:
        seen.update(workers(service))
        return service.process is not None and service.process.poll() is not None

    wait_until(has_ended, TIMEOUT_SECONDS)
    assert len(seen - before) < WORKERS
    assert service.process.returncode == 0


def test_a_request_in_flight_is_answered_when_its_worker_is_told_twice_to_stop(
    service: RunningService,
) -> None:
    """First as one that is replaced, then because the service stops."""
    body, pids = b'{"username": "ada", "password": "not this one"}', service.pids()
    with socket.create_connection(("127.0.0.1", service.port), TIMEOUT_SECONDS) as connection:
        connection.sendall(HEADERS.format(len(body)).encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")  # the view reads the body
        for pid in pids * 2:
            os.kill(pid, signal.SIGTERM)
        connection.sendall(body)
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def start_replacement(service: RunningService) -> int:
    """Send SIGHUP, and kill an old worker when the first one has its successor; return its id."""
    assert service.process is not None
    before = service.pids()
    os.kill(service.process.pid, signal.SIGHUP)
    wait_until(lambda: bool(set(service.pids()) - set(before)), TIMEOUT_SECONDS)
    os.kill(before[-1], signal.SIGKILL)
    return before[-1]


def test_a_worker_that_dies_before_its_turn_is_in_the_log(service: RunningService) -> None:
    """Its successor is one of the replacement."""
    pid = start_replacement(service)
    words = f'"pid": {pid}, "exit_code": -9'
    wait_until(lambda: words in service.log.read_text(), TIMEOUT_SECONDS)


def test_a_stop_is_no_failure_because_a_worker_died_before(service: RunningService) -> None:
    """A service manager would report a failure, and start the service again (R-31)."""
    start_replacement(service)
    assert service.process is not None
    service.process.terminate()
    assert service.process.wait(TIMEOUT_SECONDS) == 0
