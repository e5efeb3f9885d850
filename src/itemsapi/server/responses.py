"""Answers on their way: what a thread made, and what of it may wait to be taken (S-111).

An answer of 64 KiB or less is handed over at once. A longer one goes out piece by piece, as fast
as the client takes it, and counts until it is gone: so much for one client, whose further requests
wait meanwhile, and so much in all. Where all together are too much, the one that moved least is
cut off: who does not read gives way to those who do.
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

CHUNK_BYTES: Final = 64 * 1024  # bytes that no account is kept of
SEND_BYTES: Final = 16 * 1024  # bytes of a longer answer that are handed on at once
SERVER_BUFFER_BYTES: Final = (
    128 * 1024
)  # bytes that granian may keep of it: four slices, and what hyper writes
SEND_TIMEOUT_SECONDS: Final = 30.0  # seconds in which a client has to take something
STALLED_AFTER_SECONDS: Final = (
    1.0  # seconds after which an answer that has not moved may be cut off for others
)
MAX_CLIENT_BYTES: Final = 16 * 1024 * 1024  # bytes on their way to one client
MAX_TOTAL_BYTES: Final = 64 * 1024 * 1024  # bytes on their way from one worker

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Response:
    """The beginning of an answer, and what the rest comes from, if it is longer than a piece."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    remaining: Iterator[bytes] | None = None
    close: Callable[[], object] = field(default=lambda: None)

    @property
    def is_large(self) -> bool:
        """Tell whether it goes out piece by piece, and is held meanwhile."""
        return self.remaining is not None or len(self.body) > CHUNK_BYTES

    def read_chunk(self) -> bytes:
        """Return the next bytes; none are left when `rest` is None afterwards.

        Of what follows the beginning it is less: what waits to be taken is not hurried.
        """
        assert self.remaining is not None  # noqa: S101 - asked for only while there is a rest
        body, ended = _gathered(self.remaining, SEND_BYTES if self.status else CHUNK_BYTES)
        if ended:
            self.finish()
        return body

    def finish(self) -> None:
        """Tell the application that nothing more is asked for."""
        self.remaining = None
        self.close()


def run_application(application: "WSGIApplication", environ: "WSGIEnvironment") -> Response:
    """Run the application until its answer has begun, or is whole."""
    head: list[Any] = []
    written: list[bytes] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:  # noqa: ANN401, ARG001 - PEP 3333
        head[:] = status, headers
        return written.append

    given = application(environ, start)
    answer = Response(0, [], b"", iter(given), getattr(given, "close", lambda: None))
    try:
        answer.body = b"".join(written) + answer.read_chunk()
        status, headers = head
        answer.status, answer.headers = int(status[:3]), encode_headers(headers)
    except BaseException:
        if answer.remaining is not None:
            answer.finish()
        raise
    return answer


def _gathered(parts: Iterator[bytes], enough: int) -> tuple[bytes, bool]:
    """Return at least so many bytes and one, or all that are left; and whether that was all."""
    found: list[bytes] = []
    size = 0
    for part in parts:
        found.append(part)
        size += len(part)
        if size > enough:
            return b"".join(found), False
    return b"".join(found), True


class PendingResponses:
    """All answers on their way from one worker."""

    def __init__(
        self, *, max_client_bytes: int = MAX_CLIENT_BYTES, max_total_bytes: int = MAX_TOTAL_BYTES
    ) -> None:
        """Begin with none; take how many bytes may be under way."""
        self._of_one, self._of_all = max_client_bytes, max_total_bytes
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._total = 0
        self._moving: set[asyncio.Timeout] = set()

    def has_room(self, client: str) -> bool:
        """Tell whether a client has taken enough of its answers to be given another."""
        return self._held[client] < self._of_one

    def pending_bytes(self, client: str) -> int:
        """Return how many bytes are on their way to a client."""
        return self._held[client]

    def reserve(self, client: str, size: int) -> None:
        """Count bytes on their way to a client."""
        with self._lock:
            self._held[client] += size + SERVER_BUFFER_BYTES
            self._total += size + SERVER_BUFFER_BYTES

    def release(self, client: str, size: int) -> None:
        """Forget bytes that were held."""
        with self._lock:
            self._total -= size + SERVER_BUFFER_BYTES
            self._held[client] -= size + SERVER_BUFFER_BYTES
            if self._held[client] <= 0:
                del self._held[client]

    async def send(self, send: Send, body: bytes, gone: Callable[[], bool] = bool) -> None:
        """Send bytes as they are taken. Raises `TimeoutError` if they are not.

        The same if the client has `gone`: granian drops what nobody is there for without a word.
        """
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS) as patience:
                self._moving.add(patience)
                for at in range(0, len(body), SEND_BYTES):
                    if gone():
                        raise TimeoutError
                    self._cut_off(now())
                    piece = body[at : at + SEND_BYTES]
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    if not patience.expired():
                        patience.reschedule(now() + SEND_TIMEOUT_SECONDS)
        finally:
            self._moving.discard(patience)

    def _cut_off(self, now: float) -> None:
        """Where too much is under way, end the answer that has not moved for longest."""
        if self._total <= self._of_all:
            return
        moving = {one: one.when() or now for one in self._moving if not one.expired()}
        stalest = min(moving, key=moving.__getitem__, default=None)
        if stalest and moving[stalest] < now + SEND_TIMEOUT_SECONDS - STALLED_AFTER_SECONDS:
            stalest.reschedule(now)
