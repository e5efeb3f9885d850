"""A fair queue: takes one job of each client in turn, however many a client has.

A client whose pending responses reach its limit is skipped until some of them are sent.
`remove_expired` takes out the jobs that have waited too long.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar


class QueuedJob(Protocol):
    """A job that waits for a thread."""

    client: str
    queued_at: float


J = TypeVar("J", bound=QueuedJob)


class FairQueue(Generic[J]):
    """Waiting jobs by client; the event loop adds them and threads take them."""

    def __init__(self, may_run: Callable[[str], bool]) -> None:
        """Take a function that returns whether a client may have another thread now."""
        self._may_run = may_run
        self._lock = threading.Lock()
        self._jobs: dict[str, deque[J]] = {}  # by client; the first client is next
        self._wakeups: SimpleQueue[None] = SimpleQueue()  # one for each job that was added
        self._unused_wakeups = 0  # taken while no waiting client was allowed to run

    def add(self, job: J) -> None:
        """Append a job to those of its client."""
        job.queued_at = time.monotonic()
        with self._lock:
            self._jobs.setdefault(job.client, deque()).append(job)
        self._wakeups.put(None)

    def take(self) -> J:
        """Wait for the next job that may run, and return it."""
        while True:
            self._wakeups.get()
            with self._lock:
                job = self._pop_next()
                if job is None:
                    self._unused_wakeups = min(self._unused_wakeups + 1, self._count())
                elif self._unused_wakeups:
                    # The job may have used the wakeup of another client's job: wake up for that.
                    self._unused_wakeups -= 1
                    self._wakeups.put(None)
            if job is not None:
                return job

    def retry_skipped(self) -> None:
        """Wake up for the jobs that were not allowed to run: some may be now."""
        with self._lock:
            wakeups, self._unused_wakeups = self._unused_wakeups, 0
        for _ in range(wakeups):
            self._wakeups.put(None)

    def remove_expired(self, before: float) -> list[J]:
        """Remove and return the jobs that were queued before a time of the monotonic clock.

        Jobs without a client are the server's own work and are kept: they have to be done.
        """
        with self._lock:
            queues = [queue for client, queue in self._jobs.items() if client]
            expired = [job for queue in queues for job in queue if job.queued_at < before]
            for job in expired:
                self._jobs[job.client].remove(job)
            self._jobs = {client: queue for client, queue in self._jobs.items() if queue}
            self._unused_wakeups = min(self._unused_wakeups, self._count())
        return expired

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    def _count(self) -> int:
        return sum(map(len, self._jobs.values()))

    def _pop_next(self) -> J | None:
        client = next((client for client in self._jobs if self._may_run(client)), None)
        if client is None:
            return None
        queue = self._jobs.pop(client)
        job = queue.popleft()
        if queue:
            self._jobs[client] = queue  # behind all other clients
        return job
