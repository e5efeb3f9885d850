"""Workers are killed, one after another and together: the service and its metrics continue.

R-31 and R-36, with real processes. `ITEMSAPI_TEST_FULL=1` kills for a minute.
"""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.rounds import rounds
from support.service import (
    CONNECTION_ERRORS,
    RunningService,
    print_figures,
    running_service,
    wait_until,
)

pytestmark = pytest.mark.slow

FIRST_KILLS = 6  # within five seconds
KILL_INTERVAL_SECONDS = 2.0  # after the first ones
TIMEOUT_SECONDS = 30.0  # without a response


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service with two workers and public metrics."""
    url = f"sqlite:///{tmp_path}/itemsapi.db"
    with running_service(url, tmp_path, workers=2, threads=2, metrics="public") as service:
        yield service


class PollingClient(threading.Thread):
    """A client that sends requests continuously and retries when there is no response."""

    def __init__(self, service: RunningService) -> None:
        """Start at once."""
        super().__init__()
        self.service, self.stop = service, threading.Event()
        self.responses: list[int] = []
        self.longest_seconds = 0.0
        self.start()

    def run(self) -> None:
        """Send requests until stopped."""
        connection, last_response = None, time.monotonic()
        while not self.stop.is_set():
            try:
                connection = connection or self.service.connect(timeout=TIMEOUT_SECONDS)
                self.responses.append(connection.call("GET", "/docs/problems").status)
            except CONNECTION_ERRORS:
                connection = None
                continue
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - last_response)
            last_response = time.monotonic()


@pytest.fixture
def clients(service: RunningService) -> Iterator[list[PollingClient]]:
    """Two clients."""
    found = [PollingClient(service) for _ in range(2)]
    yield found
    for client in found:
        client.stop.set()
    for client in found:
        client.join()


def kill_worker(service: RunningService) -> int:
    """Kill a worker, as soon as there is one."""
    wait_until(lambda: bool(service.pids()), TIMEOUT_SECONDS)
    pid = service.pids()[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in service.pids(), TIMEOUT_SECONDS)
    return pid


def logged_deaths(service: RunningService) -> list[int]:
    """Return the process ids of the dead workers in the log."""
    lines = [line for line in service.log.read_text().splitlines() if line.startswith("{")]
    records = [json.loads(line) for line in lines]
    return [line["pid"] for line in records if line["event"] == "worker_died"]


def test_retries_succeed_however_often_workers_die(
    service: RunningService, clients: list[PollingClient]
) -> None:
    """R-31: the parent restarts workers forever and logs each death in one line."""
    begun = time.monotonic()
    killed = [kill_worker(service) for _ in range(FIRST_KILLS)]
    took = time.monotonic() - begun
    for _ in range(rounds(30, 5)):
        time.sleep(KILL_INTERVAL_SECONDS)  # the interval that R-31 names
        killed.append(kill_worker(service))
    wait_until(lambda: len(service.pids()) == service.workers, TIMEOUT_SECONDS)
    assert service.process is not None
    assert service.process.poll() is None
    seen = [len(client.responses) for client in clients]
    wait_until(
        lambda: all(len(v.responses) > n for v, n in zip(clients, seen, strict=True)),
        TIMEOUT_SECONDS,
    )
    print_figures(
        "deaths",
        kills=float(len(killed)),
        first_six=took,
        responses=float(sum(map(len, (v.responses for v in clients)))),
        longest_gap=max(client.longest_seconds for client in clients),
    )
    assert {status for client in clients for status in client.responses} == {200}
    wait_until(lambda: sorted(logged_deaths(service)) == sorted(killed), TIMEOUT_SECONDS)


COUNTED = re.compile(
    r'^itemsapi_requests_total\{endpoint="itemsapi\.docs\.show_problems".*\} (.*)$', re.MULTILINE
)


def count_requests(service: RunningService) -> int:
    """Return the number of requests in the metrics, over all workers."""
    while True:
        try:
            raw = service.connect().text("GET", "/metrics")
        except CONNECTION_ERRORS:
            continue
        return round(sum(map(float, COUNTED.findall(raw))))


def test_metrics_include_all_workers_and_dead_ones(
    service: RunningService, clients: list[PollingClient]
) -> None:
    """R-36: no counter decreases, none is lost, and dead workers leave no files."""
    seen = [0]
    for _ in range(rounds(20, 4)):
        kill_worker(service)
        wait_until(lambda: len(service.pids()) == service.workers, TIMEOUT_SECONDS)
        seen.append(count_requests(service))
    for client in clients:
        client.stop.set()
        client.join()
    responses = sum(len(client.responses) for client in clients)
    seen.append(count_requests(service))
    print_figures(
        "metrics",
        kills=float(len(seen) - 2),
        responses=float(responses),
        count_requests=float(seen[-1]),
    )
    assert seen == sorted(seen)
    # A request may be counted without a response: the worker was killed before sending it.
    assert responses <= seen[-1] <= responses + 2 * len(seen)
    files = list(Path(service.metrics_folder()).glob("counter_*.db"))
    assert len(files) <= service.workers
