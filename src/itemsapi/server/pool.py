"""The thread pool: threads for the application, scheduled fairly between clients.

The event loop submits work and waits; a thread does the work when the job is next. A client that
does not read its responses gets no thread until it does.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from itemsapi.problems import Unavailable
from itemsapi.server.fair_queue import FairQueue
from itemsapi.server.responses import PendingResponses
from itemsapi.server.threads import WorkerThreads

T = TypeVar("T")

THREAD_WAIT_SECONDS: Final = 10.0  # for which a job waits for a thread
SWEEP_INTERVAL_SECONDS: Final = 1.0  # between two searches for expired jobs


@dataclass(slots=True, eq=False)
class Job:
    """Work for a thread, and the future of its outcome."""

    client: str
    work: Callable[[], Any]
    outcome: "asyncio.Future[Any]"
    queued_at: float = 0.0


class ThreadPool:
    """A fixed number of working threads, scheduled fairly between clients."""

    def __init__(self, threads: int) -> None:
        """Start the threads."""
        self.pending_responses = PendingResponses()
        self._queue: FairQueue[Job] = FairQueue(self.pending_responses.has_room)
        self._threads = WorkerThreads(self._run_next_job, threads)
        self._threads.start()
        self.step_aside = self._threads.step_aside
        self.retry_skipped = self._queue.retry_skipped
        self._is_sweeping = False

    async def run(self, client: str, work: Callable[[], T]) -> T:
        """Run `work` in a thread and return its result. Raise `Unavailable` if none is free."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._queue.add(Job(client, work, outcome))
        if not self._is_sweeping:
            self._is_sweeping = True
            loop.call_later(SWEEP_INTERVAL_SECONDS, self._sweep)
        return await outcome

    def _sweep(self) -> None:
        """Fail the jobs that have waited too long; run again while jobs are waiting."""
        expired = self._queue.remove_expired(time.monotonic() - THREAD_WAIT_SECONDS)
        for job in (job for job in expired if not job.outcome.done()):
            cause = f"threads: none was free for {THREAD_WAIT_SECONDS:.0f} s"
            job.outcome.set_exception(Unavailable(cause=cause))
        self._is_sweeping = bool(self._queue)
        if self._is_sweeping:
            asyncio.get_running_loop().call_later(SWEEP_INTERVAL_SECONDS, self._sweep)

    def _run_next_job(self) -> None:
        """Do the work of the next job; in a thread."""
        job = self._queue.take()
        try:
            result = job.work()
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is awaited
            _set_outcome(job.outcome, job.outcome.set_exception, _as_exception(error))
        else:
            _set_outcome(job.outcome, job.outcome.set_result, result)


def _as_exception(error: BaseException) -> Exception:
    """Return an exception that can be raised in the event loop; `SystemExit` would end the loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the application raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped


def _set_outcome(
    future: "asyncio.Future[Any]", setter: Callable[[Any], None], outcome: object
) -> None:
    """Set the outcome of a future in its event loop, unless it is cancelled."""

    def set_unless_done() -> None:
        if not future.done():
            setter(outcome)

    future.get_loop().call_soon_threadsafe(set_unless_done)
