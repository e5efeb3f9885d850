"""The few threads that run the application.

A thread that has to wait for a client steps aside: another one takes its place meanwhile, so that
a slow upload is paid for by nobody else.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from itemsapi.observability.logging import log


class WorkerThreads:
    """So many threads at work, beside those that stand aside."""

    def __init__(self, work: Callable[[], None], count: int) -> None:
        """Take what a thread does again and again; `start` starts them."""
        self._work, self._count = work, count
        self._lock = threading.Lock()
        self._alive = self._aside = 0

    def start(self) -> None:
        """Start as many threads as are wanted and not there."""
        with self._lock:
            missing = max(0, self._count + self._aside - self._alive)
            self._alive += missing
        for _ in range(missing):
            self._start_one()

    def _start_one(self) -> None:
        """Start a thread. Where the system gives none there is one fewer, until the next start."""
        try:
            threading.Thread(target=self._loop, name="itemsapi", daemon=True).start()
        except RuntimeError as error:
            with self._lock:
                self._alive -= 1
            log.error("no_thread", cause=str(error))

    @contextmanager
    def step_aside(self) -> Iterator[None]:
        """Let another thread take this one's place meanwhile."""
        with self._lock:
            self._aside += 1
        try:
            self.start()
            yield
        finally:
            with self._lock:
                self._aside -= 1

    def count(self) -> int:
        """Return how many threads there are, at work and aside."""
        with self._lock:
            return self._alive

    def _loop(self) -> None:
        while not self._superfluous():
            self._work()

    def _superfluous(self) -> bool:
        """Tell whether this thread is one too many, since one that stood aside is back."""
        with self._lock:
            over = self._alive - self._aside > self._count
            self._alive -= over
        return over
