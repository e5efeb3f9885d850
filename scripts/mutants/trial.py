"""One mutant's trial: a process of its own, forked off, that is ended when it hangs."""

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
SLOWER = 6  # times as long as in the first run: the mutant hangs
SPARE = 15.0  # seconds beyond that, for imports on a busy machine
GLANCE = 0.02  # seconds between two looks at who is done

# Breaks the code (or not, for None), runs tests, and returns which failed first.
Run = Callable[[Mutant | None, Sequence[str]], list[str]]


class Fork:
    """A process of its own that runs tests on broken code."""

    def __init__(self, run: Run, mutant: Mutant | None) -> None:
        """Take what runs the tests; nothing is forked yet."""
        self.run = run
        self._mutant = mutant
        self.tests: Sequence[str] = ()

    def chosen(self) -> tuple[Sequence[str], float]:
        """Return the tests, as late as can be, and the seconds that they take."""
        raise NotImplementedError

    def start(self) -> None:
        """Fork it off."""
        self.tests, seconds = self.chosen()
        self._ends = time.monotonic() + SLOWER * seconds + SPARE
        self._answers, says = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=self._work, args=(says,))
        self._process.start()
        says.close()

    def over(self) -> bool:
        """Tell whether it has ended; end one that hangs."""
        if self._process.is_alive() and time.monotonic() > self._ends:
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.join(0)
        return not self._process.is_alive()

    def caught_by(self) -> list[str]:
        """Return the tests that failed, or in words how it broke off; nothing if it survived."""
        try:
            failed: list[str] = self._answers.recv() if self._answers.poll() else ["(it hung)"]
        except EOFError:
            failed = ["(the process died)"]
        self._answers.close()
        return failed

    def _work(self, says: Connection) -> None:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        says.send(self.run(self._mutant, self.tests))
        os.killpg(0, signal.SIGKILL)  # with whatever a test left running


class Trial(Fork):
    """The trial of a mutant."""

    def __init__(self, run: Run, mutant: Mutant, selection: Selection, seconds: float) -> None:
        """Take the mutant, who knows its tests, and for how long they may run."""
        super().__init__(run, mutant)
        self.mutant, self._selection, self._seconds = mutant, selection, seconds

    def chosen(self) -> tuple[Sequence[str], float]:
        """Return the tests of the mutant, by what is known when it starts."""
        tests = self._selection.tests(self.mutant, self._seconds)
        return tests, self._selection.cost(tests)


class Unbroken(Fork):
    """One test, run without any mutant."""

    def __init__(self, run: Run, test: str) -> None:
        """Take the test."""
        super().__init__(run, None)
        self._test = test

    def chosen(self) -> tuple[Sequence[str], float]:
        """Return the one test, with seconds to spare."""
        return [self._test], SPARE


OneFork = TypeVar("OneFork", bound=Fork)


def in_parallel(waiting: Iterable[OneFork], workers: int) -> Iterator[OneFork]:
    """Run forks, as many at once as there are workers; yield each when it is over."""
    coming = list(reversed(list(waiting)))
    running: list[OneFork] = []
    while coming or running:
        while coming and len(running) < workers:
            running.append(coming.pop())
            running[-1].start()
        over = [one for one in running if one.over()]
        running = [one for one in running if one not in over]
        yield from over
        time.sleep(GLANCE)
