"""The threads that run the application.

A thread that has to wait for a client steps aside: another one takes its place meanwhile, so that
a slow upload delays no other request.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from itemsapi.observability.logging import log


class WorkerThreads:
    """A fixed number of working threads, besides those that have stepped aside."""

    def __init__(self, work: Callable[[], None], count: int) -> None:
        """Take the function that each thread calls again and again; `start` starts them."""
        self._work, self._count = work, count
        self._lock = threading.Lock()
        self._alive = self._aside = 0

    def start(self) -> None:
        """Start the threads that are missing."""
        with self._lock:
            missing = max(0, self._count + self._aside - self._alive)
            self._alive += missing
        for _ in range(missing):
            self._start_one()

    def _start_one(self) -> None:
        """Start a thread. If the system has none left, go on with one fewer until `start`."""
        try:
            threading.Thread(target=self._loop, name="itemsapi", daemon=True).start()
        except RuntimeError as error:
            with self._lock:
                self._alive -= 1
            log.error("no_thread", cause=str(error))

    @contextmanager
    def step_aside(self) -> Iterator[None]:
        """Let another thread take the place of this one meanwhile."""
        with self._lock:
            self._aside += 1
        try:
            self.start()
            yield
        finally:
            with self._lock:
                self._aside -= 1

    def count(self) -> int:
        """Return how many threads there are, including those that have stepped aside."""
        with self._lock:
            return self._alive

    def _loop(self) -> None:
        while not self._retire_if_superfluous():
            self._work()

    def _retire_if_superfluous(self) -> bool:
        """Return whether this thread ends, because one that had stepped aside is back."""
        with self._lock:
            is_superfluous = self._alive - self._aside > self._count
            self._alive -= is_superfluous
        return is_superfluous
