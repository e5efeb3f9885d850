"""The pool: threads for the application, and who is given one next.

The event loop asks for work to be done and waits; a thread does it when its turn has come. A client
that does not take its answers is given none until it does.
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

THREAD_WAIT_SECONDS: Final = 10.0  # seconds that work waits for its turn
SWEEP_INTERVAL_SECONDS: Final = 1.0  # seconds between two looks at who has waited too long


@dataclass(slots=True, eq=False)
class Job:
    """Work for a thread, and who waits for its outcome."""

    client: str
    work: Callable[[], Any]
    outcome: "asyncio.Future[Any]"
    queued_at: float = 0.0


class ThreadPool:
    """So many threads at work, by turns for each client."""

    def __init__(self, threads: int) -> None:
        """Start the threads."""
        self.pending_responses = PendingResponses()
        self._turns: FairQueue[Job] = FairQueue(self.pending_responses.has_room)
        self._threads = WorkerThreads(self._work, threads)
        self._threads.start()
        self.step_aside = self._threads.step_aside
        self.retry_skipped = self._turns.retry_skipped
        self._sweeping = False

    async def run(self, client: str, work: Callable[[], T]) -> T:
        """Return what `work` does in a thread. Raises `Unavailable` if it has to wait too long."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._turns.add(Job(client, work, outcome))
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(SWEEP_INTERVAL_SECONDS, self._sweep)
        return await outcome

    def _sweep(self) -> None:
        """Turn away who has waited too long; come back while somebody waits."""
        late = self._turns.remove_expired(time.monotonic() - THREAD_WAIT_SECONDS)
        for job in (job for job in late if not job.outcome.done()):
            cause = f"threads: none was free for {THREAD_WAIT_SECONDS:.0f} s"
            job.outcome.set_exception(Unavailable(cause=cause))
        self._sweeping = bool(self._turns)
        if self._sweeping:
            asyncio.get_running_loop().call_later(SWEEP_INTERVAL_SECONDS, self._sweep)

    def _work(self) -> None:
        """Do the next job; in a thread."""
        job = self._turns.take()
        try:
            outcome = job.work()
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits for the outcome
            _tell(job.outcome, job.outcome.set_exception, _bearable(error))
        else:
            _tell(job.outcome, job.outcome.set_result, outcome)


def _bearable(error: BaseException) -> Exception:
    """Return what can be raised in the event loop, which an exit would end."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the application raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped


def _tell(future: "asyncio.Future[Any]", how: Callable[[Any], None], what: object) -> None:
    """Hand an outcome to the event loop."""

    def tell() -> None:
        if not future.done():
            how(what)

    future.get_loop().call_soon_threadsafe(tell)
