"""The trial of one mutant: a forked process that is killed if it hangs."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

from mutations import Mutant
from selection import Selection

FORK = multiprocessing.get_context("fork")
HANG_FACTOR = 6  # times the first run's duration, after which a mutant hangs
SPARE_SECONDS = 15.0  # in addition, for imports on a busy machine
POLL_SECONDS = 0.02  # between two checks

# Applies the mutant (none for None), runs tests, and returns the first failure.
Run = Callable[[Mutant | None, Sequence[str]], list[str]]


class Fork:
    """A forked process that runs tests on mutated code."""

    def __init__(self, run: Run, mutant: Mutant | None) -> None:
        """Take the function that runs the tests; nothing is forked yet."""
        self.run = run
        self._mutant = mutant
        self.tests: Sequence[str] = ()

    def select_tests(self) -> tuple[Sequence[str], float]:
        """Return the tests and their duration, at the last moment."""
        raise NotImplementedError

    def start(self) -> None:
        """Fork the process."""
        self.tests, seconds = self.select_tests()
        self._ends = time.monotonic() + HANG_FACTOR * seconds + SPARE_SECONDS
        self._answers, sender = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=self._work, args=(sender,))
        self._process.start()
        sender.close()

    def is_finished(self) -> bool:
        """Return whether it has ended; kill it if it hangs."""
        if self._process.is_alive() and time.monotonic() > self._ends:
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.join(0)
        return not self._process.is_alive()

    def caught_by(self) -> list[str]:
        """Return the failed tests, or why the run was aborted; nothing if the mutant survived."""
        try:
            failed: list[str] = self._answers.recv() if self._answers.poll() else ["(it hung)"]
        except EOFError:
            failed = ["(the process died)"]
        self._answers.close()
        return failed

    def _work(self, sender: Connection) -> None:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        sender.send(self.run(self._mutant, self.tests))
        os.killpg(0, signal.SIGKILL)  # with all processes that a test left running


class Trial(Fork):
    """The trial of a mutant."""

    def __init__(self, run: Run, mutant: Mutant, selection: Selection, seconds: float) -> None:
        """Take the mutant, the selection of tests, and the seconds that they may run."""
        super().__init__(run, mutant)
        self.mutant, self._selection, self._seconds = mutant, selection, seconds

    def select_tests(self) -> tuple[Sequence[str], float]:
        """Return the tests of the mutant, by the knowledge at its start."""
        tests = self._selection.tests(self.mutant, self._seconds)
        return tests, self._selection.cost(tests)


class Unmutated(Fork):
    """One test, run without a mutant."""

    def __init__(self, run: Run, test: str) -> None:
        """Take the test."""
        super().__init__(run, None)
        self._test = test

    def select_tests(self) -> tuple[Sequence[str], float]:
        """Return the one test, with spare seconds."""
        return [self._test], SPARE_SECONDS


OneFork = TypeVar("OneFork", bound=Fork)


def in_parallel(waiting: Iterable[OneFork], workers: int) -> Iterator[OneFork]:
    """Run forks in parallel, one per worker; yield each when it has ended."""
    pending = list(reversed(list(waiting)))
    running: list[OneFork] = []
    while pending or running:
        while pending and len(running) < workers:
            running.append(pending.pop())
            running[-1].start()
        finished = [one for one in running if one.is_finished()]
        running = [one for one in running if one not in finished]
        yield from finished
        time.sleep(POLL_SECONDS)
