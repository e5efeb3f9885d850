"""Bodies as they come: under a deadline as a whole, and never many long ones at once (S-110).

A body of 64 KiB or less is there before a thread hears of the request. Of a longer one nothing is
asked for until the application reads it, behind the gate (S-004); then it streams. So a thread
waits for bytes only where somebody sends more than most ever do, and then it steps aside. What is
held of a long body is what the application keeps of it: with its usual limit of 1 MiB, that is
64 MiB at most.

What is late, too much or cut off is a problem like any other: `RequestTimeout`, `Unavailable`,
`BadRequest`.
"""

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import IO, Any, Final

from itemsapi.problems import BadRequest, RequestTimeout, Unavailable
from itemsapi.server.environ import Scope, header_values

SMALL_BODY_BYTES: Final = 64 * 1024  # bytes that everybody may send for nothing
BODY_TIMEOUT_SECONDS: Final = 10.0  # seconds for a whole body
BYTES_PER_EXTRA_SECOND: Final = 64 * 1024  # bytes that earn a long body another second
MAX_LARGE_BODIES: Final = 64  # long bodies under way in one worker
INCOMPLETE_BODY: Final = "The body ended too early."

Receive = Callable[[], Awaitable[dict[str, Any]]]
StepAside = Callable[[], AbstractContextManager[None]]


class BodyReceiver:
    """One request's body on its way in."""

    def __init__(
        self, scope: Scope, receive: Receive, within: float = BODY_TIMEOUT_SECONDS
    ) -> None:
        """Begin to count the seconds. Call it in the event loop."""
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._within = within
        self.restart_deadline()
        self._length = _length(scope)
        self._patience: asyncio.Timeout | None = None  # while somebody waits for a part
        self.received = b""
        self.is_complete = self._length == 0

    def restart_deadline(self) -> None:
        """Count the seconds from now on."""
        self._ends = self._loop.time() + self._within

    async def read_small(self) -> IO[bytes] | None:
        """Return a small body, whole; None for a long one, of which `begun` has come.

        Raises `RequestTimeout` or `BadRequest`.
        """
        if self._length is not None and self._length > SMALL_BODY_BYTES:
            return None
        while not self.is_complete and len(self.received) <= SMALL_BODY_BYTES:
            self.received += await self.read_part()
        return io.BytesIO(self.received) if self.is_complete else None

    async def read_part(self) -> bytes:
        """Return the next bytes, some or none. Raises `RequestTimeout` or `BadRequest`."""
        try:
            async with asyncio.timeout_at(self._ends) as self._patience:
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout from None
        finally:
            self._patience = None
        if message["type"] != "http.request":
            raise BadRequest(INCOMPLETE_BODY)
        self.is_complete = not message.get("more_body", False)
        found: bytes = message.get("body", b"")
        self._ends += len(found) / BYTES_PER_EXTRA_SECOND
        return found

    def close(self) -> None:
        """Ask for no more: whoever does finds that the client is gone. Call it in the event loop.

        Who waits for a part gives up: only an exchange that was cancelled leaves a thread so.
        """
        self._receive = _nothing_more
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(self._loop.time())

    async def wait_for_disconnect(self) -> None:
        """Wait until the client hangs up; after the end of the body.

        Where there is none, its end may be told first.
        """
        while (await self._receive())["type"] != "http.disconnect":
            continue

    def read_part_in_thread(self) -> bytes:
        """Do the same in a thread."""
        return asyncio.run_coroutine_threadsafe(self.read_part(), self._loop).result()


class LargeBody(io.RawIOBase):
    """A long body as the application reads it. Reading raises the problems of this module."""

    slots = threading.BoundedSemaphore(MAX_LARGE_BODIES)

    def __init__(self, incoming: BodyReceiver, aside: StepAside) -> None:
        """Take a body that has begun, and how a thread steps aside."""
        self._incoming, self._ready, self._aside = incoming, incoming.received, aside
        self._placed = False
        self._changing = threading.Lock()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - io's own signature
        """Fill `buffer` with what has come, waiting for some; 0 at the end."""
        while not self._ready and not self._incoming.is_complete:
            self._ready = self._more()
        taken = self._ready[: len(buffer)]
        self._ready = self._ready[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        """Make room for another one, and take no place any more."""
        with self._changing:
            super().close()
            if self._placed:
                self._placed = False
                self.slots.release()

    def _more(self) -> bytes:
        self._take_place()
        with self._aside():
            return self._incoming.read_part_in_thread()

    def _take_place(self) -> None:
        with self._changing:
            if self._placed:
                return
            if self.closed:
                raise BadRequest(INCOMPLETE_BODY)
            if not self.slots.acquire(blocking=False):
                words = "Too many large bodies are under way; try again in 1 s."
                raise Unavailable(words, cause="request bodies: as many long ones as are allowed")
            self._placed = True
            self._incoming.restart_deadline()  # waiting for its turn was no fault of the client's


class LargeBodyReader(io.BufferedReader):
    """Reads a long body piece by piece. It may be closed while another thread reads.

    `BufferedReader` would wait for that thread, which waits for the event loop: closed there, as
    where an exchange is cancelled, it would stop the loop for good.
    """

    def close(self) -> None:
        """Close the body, whoever reads it."""
        self.raw.close()


async def _nothing_more() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def _length(scope: Scope) -> int | None:
    """Return how many bytes are announced; None if that is not told beforehand.

    hyper refuses what is no number, and lengths that contradict each other.
    """
    if header_values(scope, b"transfer-encoding"):
        return None
    lengths = header_values(scope, b"content-length")
    return int(lengths[0]) if lengths else 0
