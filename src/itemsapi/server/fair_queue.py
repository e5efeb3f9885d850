"""Whose request is next: one of each client after the other, however many a client sends.

A client whose answers fill what it may hold waits until some are taken; whoever waits too long is
turned away by `expired`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar


class QueuedJob(Protocol):
    """Something that waits for a thread."""

    client: str
    queued_at: float


W = TypeVar("W", bound=QueuedJob)


class FairQueue(Generic[W]):
    """Those who wait, by client; filled by the event loop and emptied by threads."""

    def __init__(self, may_run: Callable[[str], bool]) -> None:
        """Take who tells whether a client may have another thread now."""
        self._may_go = may_run
        self._lock = threading.Lock()
        self._lines: dict[str, deque[W]] = {}  # in the order of their turns
        self._calls: SimpleQueue[None] = SimpleQueue()  # one for each job that was added
        self._unheard = 0  # calls that were taken when nobody of those who waited might go

    def add(self, job: W) -> None:
        """Put a job at the end of its client's line."""
        job.queued_at = time.monotonic()
        with self._lock:
            self._lines.setdefault(job.client, deque()).append(job)
        self._calls.put(None)

    def take(self) -> W:
        """Wait for a job whose turn it is, and return it."""
        while True:
            self._calls.get()
            with self._lock:
                job = self._next()
                if job is None:
                    self._unheard = min(self._unheard + 1, self._waiting())
                elif self._unheard:  # it may have gone on the call of another, who is next then
                    self._unheard -= 1
                    self._calls.put(None)
            if job is not None:
                return job

    def retry_skipped(self) -> None:
        """Say that somebody who could not go may go now."""
        with self._lock:
            calls, self._unheard = self._unheard, 0
        for _ in range(calls):
            self._calls.put(None)

    def remove_expired(self, before: float) -> list[W]:
        """Take out those who have waited since before a moment of the monotonic clock.

        What belongs to no client is the server's own work, and has to be done.
        """
        with self._lock:
            lines = [line for client, line in self._lines.items() if client]
            late = [job for line in lines for job in line if job.queued_at < before]
            for job in late:
                self._lines[job.client].remove(job)
            self._lines = {client: line for client, line in self._lines.items() if line}
            self._unheard = min(self._unheard, self._waiting())
        return late

    def __len__(self) -> int:
        with self._lock:
            return self._waiting()

    def _waiting(self) -> int:
        return sum(map(len, self._lines.values()))

    def _next(self) -> W | None:
        client = next((client for client in self._lines if self._may_go(client)), None)
        if client is None:
            return None
        line = self._lines.pop(client)
        job = line.popleft()
        if line:
            self._lines[client] = line  # behind all others
        return job
