"""One mutant's trial: a process of its own, forked off, that is ended when it hangs."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from mutations import Mutant

FORK = multiprocessing.get_context("fork")
SLOWER = 8  # times as long as in the first run: the mutant hangs
SPARE = 30.0  # seconds beyond that, for imports on a busy machine
GLANCE = 0.02  # seconds between two looks at who is done

# Breaks the code (or not, for None), runs tests, and returns which failed.
Run = Callable[[Mutant | None, Sequence[str]], list[str]]


@dataclass
class Trial:
    """A trial under way: of a mutant, or of nothing, to see what fails anyway."""

    run: Run
    mutant: Mutant | None
    tests: Sequence[str]
    seconds: float
    answers: Connection = field(init=False)
    process: multiprocessing.process.BaseProcess = field(init=False)
    ends: float = field(init=False)

    def start(self) -> "Trial":
        """Fork the trial off."""
        self.ends = time.monotonic() + SLOWER * self.seconds + SPARE
        self.answers, says = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=self._work, args=(says,))
        self.process.start()
        says.close()
        return self

    def over(self) -> bool:
        """Tell whether the trial has ended; end one that hangs."""
        if self.process.is_alive() and time.monotonic() > self.ends:
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.join(0)
        return not self.process.is_alive()

    def caught_by(self) -> list[str]:
        """Return the tests that failed, or in words how it broke off; nothing if it survived."""
        try:
            failed: list[str] = self.answers.recv() if self.answers.poll() else ["(it hung)"]
        except EOFError:
            failed = ["(the process died)"]
        self.answers.close()
        return failed

    def _work(self, says: Connection) -> None:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        says.send(self.run(self.mutant, self.tests))
        os.killpg(0, signal.SIGKILL)  # with whatever a test left running


def in_parallel(waiting: Iterator[Trial], workers: int) -> Iterator[Trial]:
    """Run trials, as many at once as there are workers; yield each when it is over."""
    running: list[Trial] = []
    more = True
    while more or running:
        while more and len(running) < workers:
            trial = next(waiting, None)
            more = trial is not None
            if trial is not None:
                running.append(trial.start())
        over = [trial for trial in running if trial.over()]
        running = [trial for trial in running if trial not in over]
        yield from over
        time.sleep(GLANCE)
