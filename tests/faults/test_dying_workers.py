"""Workers that die, one after the other and at once: the service goes on, and counts on.

R-31 and R-36, with real processes that are killed. `ITEMSAPI_TEST_FULL=1` kills for a minute.
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

AT_ONCE = 6  # deaths within five seconds
EACH = 2.0  # seconds between two deaths after that
GIVEN_UP = 30.0  # seconds without an answer that nobody would wait for


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[RunningService]:
    """A service with two workers; its metrics are open."""
    url = f"sqlite:///{tmp_path}/itemsapi.db"
    with running_service(url, tmp_path, workers=2, threads=2, metrics="public") as stage:
        yield stage


class Visitor(threading.Thread):
    """Somebody who asks again and again, and tries again when nobody answers."""

    def __init__(self, stage: RunningService) -> None:
        """Begin at once."""
        super().__init__()
        self.stage, self.stop = stage, threading.Event()
        self.answers: list[int] = []
        self.longest = 0.0
        self.start()

    def run(self) -> None:
        """Ask until told to stop."""
        line, answered = None, time.monotonic()
        while not self.stop.is_set():
            try:
                line = line or self.stage.connect(timeout=GIVEN_UP)
                self.answers.append(line.call("GET", "/docs/problems").status)
            except CONNECTION_ERRORS:
                line = None
                continue
            self.longest = max(self.longest, time.monotonic() - answered)
            answered = time.monotonic()


@pytest.fixture
def visitors(stage: RunningService) -> Iterator[list[Visitor]]:
    """Two of them."""
    found = [Visitor(stage) for _ in range(2)]
    yield found
    for visitor in found:
        visitor.stop.set()
    for visitor in found:
        visitor.join()


def kill(stage: RunningService) -> int:
    """Kill a worker, as soon as there is one."""
    wait_until(lambda: bool(stage.pids()), GIVEN_UP)
    pid = stage.pids()[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in stage.pids(), GIVEN_UP)
    return pid


def died(stage: RunningService) -> list[int]:
    """Return the process ids of the deaths that are in the log."""
    lines = [line for line in stage.log.read_text().splitlines() if line.startswith("{")]
    said = [json.loads(line) for line in lines]
    return [line["pid"] for line in said if line["event"] == "worker_died"]


def test_however_often_workers_die_the_service_is_there_for_those_who_try_again(
    stage: RunningService, visitors: list[Visitor]
) -> None:
    """R-31: the parent never gives up, and tells of each death in one line."""
    begun = time.monotonic()
    killed = [kill(stage) for _ in range(AT_ONCE)]
    took = time.monotonic() - begun
    for _ in range(rounds(30, 5)):
        time.sleep(EACH)  # R-31 says how often they die
        killed.append(kill(stage))
    wait_until(lambda: len(stage.pids()) == stage.workers, GIVEN_UP)
    assert stage.process is not None
    assert stage.process.poll() is None
    seen = [len(visitor.answers) for visitor in visitors]
    wait_until(
        lambda: all(len(v.answers) > n for v, n in zip(visitors, seen, strict=True)), GIVEN_UP
    )
    print_figures(
        "deaths",
        kills=float(len(killed)),
        first_six=took,
        answers=float(sum(map(len, (v.answers for v in visitors)))),
        longest_gap=max(visitor.longest for visitor in visitors),
    )
    assert {status for visitor in visitors for status in visitor.answers} == {200}
    wait_until(lambda: sorted(died(stage)) == sorted(killed), GIVEN_UP)


COUNTED = re.compile(
    r'^itemsapi_requests_total\{endpoint="docs\.show_problems".*\} (.*)$', re.MULTILINE
)


def counted(stage: RunningService) -> int:
    """Return how many visits the metrics tell of, over all workers."""
    while True:
        try:
            raw = stage.connect().text("GET", "/metrics")
        except CONNECTION_ERRORS:
            continue
        return round(sum(map(float, COUNTED.findall(raw))))


def test_metrics_tell_of_all_workers_and_of_those_that_died(
    stage: RunningService, visitors: list[Visitor]
) -> None:
    """R-36: no count ever goes down, none is lost, and the dead leave no files behind."""
    seen = [0]
    for _ in range(rounds(20, 4)):
        kill(stage)
        wait_until(lambda: len(stage.pids()) == stage.workers, GIVEN_UP)
        seen.append(counted(stage))
    for visitor in visitors:
        visitor.stop.set()
        visitor.join()
    answers = sum(len(visitor.answers) for visitor in visitors)
    seen.append(counted(stage))
    print_figures(
        "metrics", kills=float(len(seen) - 2), answers=float(answers), counted=float(seen[-1])
    )
    assert seen == sorted(seen)
    # What was counted and not heard of: an answer of a worker that was killed before it was sent.
    assert answers <= seen[-1] <= answers + 2 * len(seen)
    files = list(Path(stage.metrics_folder()).glob("counter_*.db"))
    assert len(files) <= stage.workers
