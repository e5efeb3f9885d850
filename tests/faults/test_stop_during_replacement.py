"""The service is stopped while it replaces its workers one by one (R-22)."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.service import RunningService, running_service, wait_until

pytestmark = pytest.mark.slow

WORKERS = 3
TIMEOUT_SECONDS = 60.0  # on a busy machine
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
    before = seen = set(service.pids())
    os.kill(service.process.pid, signal.SIGHUP)
    wait_until(lambda: bool(set(service.pids()) - before), TIMEOUT_SECONDS)
    service.process.terminate()
    while service.process.poll() is None:
        seen = seen | workers(service)
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
