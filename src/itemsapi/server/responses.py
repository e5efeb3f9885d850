"""Responses: run the application for one, and send it as fast as the client reads (S-111).

A response of 64 KiB or less is sent at once. A larger one is sent in chunks, as fast as the client
reads them, and its bytes are counted until they are sent: there is a limit for each client, whose
further requests wait meanwhile, and a limit for the worker. Beyond the limit of the worker, the
response that has made no progress for longest is cut off: clients that do not read give way to
those that do.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from itemsapi.server.environ import encode_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

CHUNK_BYTES: Final = 64 * 1024  # a response up to this size is not counted
SEND_BYTES: Final = 16 * 1024  # of a larger response, in one message to granian
SERVER_BUFFER_BYTES: Final = 128 * 1024  # granian's: four messages, and hyper's write buffer
SEND_TIMEOUT_SECONDS: Final = 30.0  # within which a client has to read something
STALLED_AFTER_SECONDS: Final = 1.0  # without progress a response may be cut off for others
MAX_CLIENT_BYTES: Final = 16 * 1024 * 1024  # pending for one client
MAX_TOTAL_BYTES: Final = 64 * 1024 * 1024  # pending in one worker

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Response:
    """The beginning of a response, and the iterator of the rest if it is longer than a chunk."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    remaining: Iterator[bytes] | None = None
    close: Callable[[], object] = field(default=lambda: None)

    @property
    def is_large(self) -> bool:
        """Return whether the response is sent in chunks, and counted meanwhile."""
        return self.remaining is not None or len(self.body) > CHUNK_BYTES

    def read_chunk(self) -> bytes:
        """Return the next bytes; afterwards `remaining` is None if they were the last.

        Chunks after the first are smaller: the client has yet to read what precedes them.
        """
        assert self.remaining is not None  # noqa: S101 - called only while there is a rest
        body, is_complete = _read_more_than(
            SEND_BYTES if self.status else CHUNK_BYTES, self.remaining
        )
        if is_complete:
            self.finish()
        return body

    def finish(self) -> None:
        """Close the iterable of the application (PEP 3333); nothing more is read from it."""
        self.remaining = None
        self.close()


def run_application(application: "WSGIApplication", environ: "WSGIEnvironment") -> Response:
    """Run the application until its response has begun, or is complete."""
    head: list[Any] = []
    written: list[bytes] = []

    def start_response(
        status: str,
        headers: list[tuple[str, str]],
        exc_info: object = None,  # noqa: ARG001 - PEP 3333
    ) -> Any:  # noqa: ANN401 - PEP 3333
        """Keep the status and headers (PEP 3333)."""
        head[:] = status, headers
        return written.append

    iterable = application(environ, start_response)
    close = getattr(iterable, "close", lambda: None)
    response = Response(0, [], b"", iter(iterable), close)
    try:
        response.body = b"".join(written) + response.read_chunk()
        status, headers = head
        response.status, response.headers = int(status[:3]), encode_headers(headers)
    except BaseException:
        if response.remaining is not None:
            response.finish()
        raise
    return response


def _read_more_than(size: int, parts: Iterator[bytes]) -> tuple[bytes, bool]:
    """Return more bytes than `size`, or all that are left; and whether these were all."""
    read: list[bytes] = []
    read_bytes = 0
    for part in parts:
        read.append(part)
        read_bytes += len(part)
        if read_bytes > size:
            return b"".join(read), False
    return b"".join(read), True


class PendingResponses:
    """The bytes of all large responses that one worker has yet to send."""

    def __init__(
        self, *, max_client_bytes: int = MAX_CLIENT_BYTES, max_total_bytes: int = MAX_TOTAL_BYTES
    ) -> None:
        """Start with none; take the limits for one client and for all."""
        self._max_client_bytes, self._max_total_bytes = max_client_bytes, max_total_bytes
        self._lock = threading.Lock()
        self._client_bytes: Counter[str] = Counter()
        self._total_bytes = 0
        self._timeouts: set[asyncio.Timeout] = set()  # one for each response being sent

    def has_room(self, client: str) -> bool:
        """Return whether a client is below its limit, so that it may get another response."""
        return self._client_bytes[client] < self._max_client_bytes

    def pending_bytes(self, client: str) -> int:
        """Return how many bytes are pending for a client."""
        return self._client_bytes[client]

    def reserve(self, client: str, size: int) -> None:
        """Count bytes as pending for a client."""
        with self._lock:
            self._client_bytes[client] += size + SERVER_BUFFER_BYTES
            self._total_bytes += size + SERVER_BUFFER_BYTES

    def release(self, client: str, size: int) -> None:
        """Stop counting reserved bytes."""
        with self._lock:
            self._total_bytes -= size + SERVER_BUFFER_BYTES
            self._client_bytes[client] -= size + SERVER_BUFFER_BYTES
            if self._client_bytes[client] <= 0:
                del self._client_bytes[client]

    async def send(
        self, send: Send, body: bytes, is_disconnected: Callable[[], bool] = bool
    ) -> None:
        """Send bytes as fast as the client reads them. Raise `TimeoutError` if it does not.

        Raise it too if the client `is_disconnected`: granian silently drops what is sent then.
        """
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS) as timeout:
                self._timeouts.add(timeout)
                for start in range(0, len(body), SEND_BYTES):
                    if is_disconnected():
                        raise TimeoutError
                    self._cut_off_stalled(now())
                    part = body[start : start + SEND_BYTES]
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                    if not timeout.expired():
                        timeout.reschedule(now() + SEND_TIMEOUT_SECONDS)
        finally:
            self._timeouts.discard(timeout)

    def _cut_off_stalled(self, now: float) -> None:
        """Beyond the limit of the worker, end the response without progress for longest."""
        if self._total_bytes <= self._max_total_bytes:
            return
        deadlines = {
            timeout: timeout.when() or now for timeout in self._timeouts if not timeout.expired()
        }
        stalest = min(deadlines, key=deadlines.__getitem__, default=None)
        if stalest and deadlines[stalest] < now + SEND_TIMEOUT_SECONDS - STALLED_AFTER_SECONDS:
            stalest.reschedule(now)
