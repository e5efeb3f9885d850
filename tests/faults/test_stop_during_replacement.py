"""The service is stopped while it replaces its workers one by one (R-22)."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.service import RunningService, running_service, wait_until

WORKERS = 3
TIMEOUT_SECONDS = 60.0  # on a busy machine


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service with three workers; each takes seconds to be replaced."""
    with running_service(f"sqlite:///{tmp_path}/itemsapi.db", tmp_path, workers=WORKERS) as one:
        wait_until(lambda: len(one.pids()) == WORKERS, TIMEOUT_SECONDS)
        yield one


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


def workers(service: RunningService) -> set[int]:
    """Return the worker processes; none if the service has just ended."""
    try:
        return set(service.pids())
    except (FileNotFoundError, ProcessLookupError):
        return set()
