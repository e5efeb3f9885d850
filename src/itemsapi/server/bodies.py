"""Request bodies: received under a deadline, and only a few large ones at once (S-110).

A body of 64 KiB or less is received before a thread starts on the request. A larger body is not
requested from the client until the application reads it, behind the gate (S-004); then it is
streamed. So a thread waits for bytes only for a body that is larger than most, and another thread
takes its place meanwhile. A large body takes as much memory as the application keeps of it: with
its usual limit of 1 MiB, that is 64 MiB at most.

A body that is late, too much or incomplete raises a problem like any other: `RequestTimeout`,
`Unavailable`, `BadRequest`.
"""

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import IO, Any, Final

from itemsapi.problems import BadRequest, RequestTimeout, Unavailable
from itemsapi.server.environ import Scope, header_values

SMALL_BODY_BYTES: Final = 64 * 1024  # a body up to this size is received before a thread starts
BODY_TIMEOUT_SECONDS: Final = 10.0  # for a whole body
BYTES_PER_EXTRA_SECOND: Final = 64 * 1024  # received bytes that extend the deadline by a second
MAX_LARGE_BODIES: Final = 64  # large bodies that one worker receives at once
INCOMPLETE_BODY: Final = "The body ended too early."

Receive = Callable[[], Awaitable[dict[str, Any]]]
StepAside = Callable[[], AbstractContextManager[None]]


class BodyReceiver:
    """Receives the body of one request under a deadline."""

    def __init__(
        self, scope: Scope, receive: Receive, timeout: float = BODY_TIMEOUT_SECONDS
    ) -> None:
        """Start the deadline. Call it in the event loop."""
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self.restart_deadline()
        self._length = _announced_length(scope)
        self._pending_timeout: asyncio.Timeout | None = None  # while a part is awaited
        self.received = b""
        self.is_complete = self._length == 0

    def restart_deadline(self) -> None:
        """Start the deadline anew."""
        self._deadline = self._loop.time() + self._timeout

    async def read_small(self) -> IO[bytes] | None:
        """Return the whole body if it is small; None for a large one, which `received` begins.

        Raise `RequestTimeout` or `BadRequest`.
        """
        if self._length is not None and self._length > SMALL_BODY_BYTES:
            return None
        while not self.is_complete and len(self.received) <= SMALL_BODY_BYTES:
            self.received += await self.read_part()
        return io.BytesIO(self.received) if self.is_complete else None

    async def read_part(self) -> bytes:
        """Return the next bytes, possibly none. Raise `RequestTimeout` or `BadRequest`."""
        try:
            async with asyncio.timeout_at(self._deadline) as self._pending_timeout:
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout from None
        finally:
            self._pending_timeout = None
        if message["type"] != "http.request":
            raise BadRequest(INCOMPLETE_BODY)
        self.is_complete = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        self._deadline += len(part) / BYTES_PER_EXTRA_SECOND
        return part

    def close(self) -> None:
        """Stop receiving: further reads find a disconnected client. Call it in the event loop.

        A thread that is waiting for a part gets a timeout at once; only a cancelled exchange leaves
        such a thread behind.
        """
        self._receive = _receive_disconnect
        if self._pending_timeout is not None and not self._pending_timeout.expired():
            self._pending_timeout.reschedule(self._loop.time())

    async def wait_for_disconnect(self) -> None:
        """Wait until the client disconnects; call it after the end of the body.

        A request without a body may still receive an empty body first.
        """
        while (await self._receive())["type"] != "http.disconnect":
            continue

    def read_part_in_thread(self) -> bytes:
        """Do the same as `read_part` in a thread."""
        return asyncio.run_coroutine_threadsafe(self.read_part(), self._loop).result()


class LargeBody(io.RawIOBase):
    """A large body as the application reads it. Reading raises the problems of this module."""

    slots = threading.BoundedSemaphore(MAX_LARGE_BODIES)

    def __init__(self, receiver: BodyReceiver, step_aside: StepAside) -> None:
        """Take the receiver of a body that has begun, and how a thread steps aside."""
        self._receiver, self._buffer, self._step_aside = receiver, receiver.received, step_aside
        self._has_slot = False
        self._lock = threading.Lock()

    def readable(self) -> bool:
        """Return whether the body can be read: always."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - io's own signature
        """Fill `buffer` with the bytes received so far, waiting for some; 0 at the end."""
        while not self._buffer and not self._receiver.is_complete:
            self._buffer = self._read_part()
        part = self._buffer[: len(buffer)]
        self._buffer = self._buffer[len(part) :]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Release the slot; a closed body takes none again."""
        with self._lock:
            super().close()
            if self._has_slot:
                self._has_slot = False
                self.slots.release()

    def _read_part(self) -> bytes:
        self._acquire_slot()
        with self._step_aside():
            return self._receiver.read_part_in_thread()

    def _acquire_slot(self) -> None:
        with self._lock:
            if self._has_slot:
                return
            if self.closed:
                raise BadRequest(INCOMPLETE_BODY)
            if not self.slots.acquire(blocking=False):
                message = "Too many large bodies are under way; try again in 1 s."
                raise Unavailable(message, cause="request bodies: as many long ones as are allowed")
            self._has_slot = True
            # The client is not to blame for the time that the request waited for a thread.
            self._receiver.restart_deadline()


class LargeBodyReader(io.BufferedReader):
    """Reads a large body in chunks. It may be closed while another thread reads.

    `BufferedReader.close` would wait for that thread, which waits for the event loop: called in the
    event loop, as after a cancelled exchange, it would stop the loop for good.
    """

    def close(self) -> None:
        """Close the body, even while another thread reads it."""
        self.raw.close()


async def _receive_disconnect() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def _announced_length(scope: Scope) -> int | None:
    """Return how many bytes the client announced; None for a chunked body.

    hyper rejects lengths that are no number or contradict each other.
    """
    if header_values(scope, b"transfer-encoding"):
        return None
    lengths = header_values(scope, b"content-length")
    return int(lengths[0]) if lengths else 0
