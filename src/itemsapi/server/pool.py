"""The thread pool: threads for the application, scheduled fairly between clients.

The event loop submits work and waits; a thread does the work when the job is next. A client that
does not read its responses gets no thread until it does.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from itemsapi.observability.logging import log
from itemsapi.problems import Unavailable
from itemsapi.server.fair_queue import FairQueue
from itemsapi.server.refusals import Refusals
from itemsapi.server.responses import PendingResponses

# The threads that run the application.
#
# A thread that has to wait for a client steps aside: another one takes its place meanwhile, so that
# a slow upload delays no other request.


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


class NoThreadFree(Unavailable):
    """Every thread was busy for as long as a request waits for one."""

    cause = f"threads: none was free for {THREAD_WAIT_SECONDS:.0f} s"


class ThreadPool:
    """A fixed number of working threads, scheduled fairly between clients."""

    def __init__(self, threads: int) -> None:
        """Take the number of threads; they start with the first job."""
        self.pending_responses, self.refusals = PendingResponses(), Refusals()
        self._queue: FairQueue[Job] = FairQueue(self.pending_responses.has_room)
        self._threads = WorkerThreads(self._run_next_job, threads)
        self.step_aside = self._threads.step_aside
        self.retry_skipped = self._queue.retry_skipped
        self._is_started = self._is_sweeping = False

    async def run(self, client: str, work: Callable[[], T]) -> T:
        """Run `work` in a thread and return its result. Raise `NoThreadFree`."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._start_threads()
        self._queue.add(Job(client, work, outcome))
        if not self._is_sweeping:
            self._is_sweeping = True
            loop.call_later(SWEEP_INTERVAL_SECONDS, self._sweep)
        return await outcome

    def _start_threads(self) -> None:
        """Start the threads, in the event loop: until it runs, signals are held back.

        A thread that starts earlier would hold them back for ever, also in programs that it starts.
        """
        if not self._is_started:
            self._is_started = True
            self._threads.start()

    def _sweep(self) -> None:
        """Fail the jobs that have waited too long; run again while jobs are waiting."""
        expired = self._queue.remove_expired(time.monotonic() - THREAD_WAIT_SECONDS)
        for job in (job for job in expired if not job.outcome.done()):
            job.outcome.set_exception(NoThreadFree())
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
        """Set the outcome in the thread of the event loop."""
        if not future.done():
            setter(outcome)

    future.get_loop().call_soon_threadsafe(set_unless_done)
