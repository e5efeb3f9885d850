"""The thread of password hashes: one thread of a process computes them all.

Argon2 takes 19 MiB for a hash, and the C library keeps them in an area of the thread for the next
one: each thread that hashes would keep as much. Returned to the system, that memory would have to
be mapped again for each hash, which then takes 51 instead of 38 ms of CPU time (docs/adr/0016). A
hash is computed without the GIL, so the thread uses other cores than those that run Python
(`itemsapi.cores`).
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from itemsapi.cores import use_other_cores
from itemsapi.problems import Busy

T = TypeVar("T")


class HashingThread:
    """A thread that starts with the first hash, also after a fork."""

    def __init__(self, threads: int) -> None:
        """Take how many hashes run at once, each in a thread."""
        self._threads = threads
        self._executor = self._new_executor()

    def run(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, or raise its error. Raise `Busy` if no thread can start."""
        if self._process != os.getpid():  # a fork has no threads but one
            self._executor = self._new_executor()
        try:
            outcome = self._executor.submit(work)
        except RuntimeError as error:  # the work that found no thread is still in its queue
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = self._new_executor()
            raise Busy(cause=f"passwords: {error}") from error
        return outcome.result()

    def _new_executor(self) -> ThreadPoolExecutor:
        self._process = os.getpid()
        return ThreadPoolExecutor(self._threads, "itemsapi-hash", use_other_cores)
