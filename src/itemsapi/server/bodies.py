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
from itemsapi.server.environ import Scope, values

SMALL: Final = 64 * 1024  # bytes that everybody may send for nothing
WITHIN: Final = 10.0  # seconds for a whole body
PACE: Final = 64 * 1024  # bytes that earn a long body another second
LONG_ONES: Final = 64  # long bodies under way in one worker
CUT_OFF: Final = "The body ended too early."

Receive = Callable[[], Awaitable[dict[str, Any]]]
Aside = Callable[[], AbstractContextManager[None]]


class Incoming:
    """One request's body on its way in."""

    def __init__(self, scope: Scope, receive: Receive, within: float = WITHIN) -> None:
        """Begin to count the seconds. Call it in the event loop."""
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._within = within
        self.restart()
        self._length = _length(scope)
        self._patience: asyncio.Timeout | None = None  # while somebody waits for a part
        self.begun = b""
        self.ended = self._length == 0

    def restart(self) -> None:
        """Count the seconds from now on."""
        self._ends = self._loop.time() + self._within

    async def first(self) -> IO[bytes] | None:
        """Return a small body, whole; None for a long one, of which `begun` has come.

        Raises `RequestTimeout` or `BadRequest`.
        """
        if self._length is not None and self._length > SMALL:
            return None
        while not self.ended and len(self.begun) <= SMALL:
            self.begun += await self.part()
        return io.BytesIO(self.begun) if self.ended else None

    async def part(self) -> bytes:
        """Return the next bytes, some or none. Raises `RequestTimeout` or `BadRequest`."""
        try:
            async with asyncio.timeout_at(self._ends) as self._patience:
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout from None
        finally:
            self._patience = None
        if message["type"] != "http.request":
            raise BadRequest(CUT_OFF)
        self.ended = not message.get("more_body", False)
        found: bytes = message.get("body", b"")
        self._ends += len(found) / PACE
        return found

    def close(self) -> None:
        """Ask for no more: whoever does finds that the client is gone. Call it in the event loop.

        Who waits for a part gives up: only an exchange that was cancelled leaves a thread so.
        """
        self._receive = _nothing_more
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(self._loop.time())

    async def farewell(self) -> None:
        """Wait until the client hangs up; after the end of the body.

        Where there is none, its end may be told first.
        """
        while (await self._receive())["type"] != "http.disconnect":
            continue

    def wait_for_part(self) -> bytes:
        """Do the same in a thread."""
        return asyncio.run_coroutine_threadsafe(self.part(), self._loop).result()


class Long(io.RawIOBase):
    """A long body as the application reads it. Reading raises the problems of this module."""

    places = threading.BoundedSemaphore(LONG_ONES)

    def __init__(self, incoming: Incoming, aside: Aside) -> None:
        """Take a body that has begun, and how a thread steps aside."""
        self._incoming, self._ready, self._aside = incoming, incoming.begun, aside
        self._placed = False
        self._changing = threading.Lock()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - io's own signature
        """Fill `buffer` with what has come, waiting for some; 0 at the end."""
        while not self._ready and not self._incoming.ended:
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
                self.places.release()

    def _more(self) -> bytes:
        self._take_place()
        with self._aside():
            return self._incoming.wait_for_part()

    def _take_place(self) -> None:
        with self._changing:
            if self._placed:
                return
            if self.closed:
                raise BadRequest(CUT_OFF)
            if not self.places.acquire(blocking=False):
                words = "Too many large bodies are under way; try again in 1 s."
                raise Unavailable(words, cause="request bodies: as many long ones as are allowed")
            self._placed = True
            self._incoming.restart()  # waiting for its turn was no fault of the client's


class LongReader(io.BufferedReader):
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
    if values(scope, b"transfer-encoding"):
        return None
    lengths = values(scope, b"content-length")
    return int(lengths[0]) if lengths else 0
