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

from itemsapi.server.environ import header_list

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

PIECE: Final = 64 * 1024  # bytes that no account is kept of
SLICE: Final = 16 * 1024  # bytes of a longer answer that are handed on at once
KEPT: Final = 128 * 1024  # bytes that granian may keep of it: four slices, and what hyper writes
TAKEN_WITHIN: Final = 30.0  # seconds in which a client has to take something
STALE: Final = 1.0  # seconds after which an answer that has not moved may be cut off for others
OF_ONE: Final = 16 * 1024 * 1024  # bytes on their way to one client
OF_ALL: Final = 64 * 1024 * 1024  # bytes on their way from one worker

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Answer:
    """The beginning of an answer, and what the rest comes from, if it is longer than a piece."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    rest: Iterator[bytes] | None = None
    close: Callable[[], object] = field(default=lambda: None)

    @property
    def long(self) -> bool:
        """Tell whether it goes out piece by piece, and is held meanwhile."""
        return self.rest is not None or len(self.body) > PIECE

    def more(self) -> bytes:
        """Return the next bytes; none are left when `rest` is None afterwards.

        Of what follows the beginning it is less: what waits to be taken is not hurried.
        """
        assert self.rest is not None  # noqa: S101 - asked for only while there is a rest
        body, ended = _gathered(self.rest, SLICE if self.status else PIECE)
        if ended:
            self.finish()
        return body

    def finish(self) -> None:
        """Tell the application that nothing more is asked for."""
        self.rest = None
        self.close()


def answer_of(application: "WSGIApplication", environ: "WSGIEnvironment") -> Answer:
    """Run the application until its answer has begun, or is whole."""
    head: list[Any] = []
    written: list[bytes] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:  # noqa: ANN401, ARG001 - PEP 3333
        head[:] = status, headers
        return written.append

    given = application(environ, start)
    answer = Answer(0, [], b"", iter(given), getattr(given, "close", lambda: None))
    try:
        answer.body = b"".join(written) + answer.more()
        status, headers = head
        answer.status, answer.headers = int(status[:3]), header_list(headers)
    except BaseException:
        if answer.rest is not None:
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


class Outgoing:
    """All answers on their way from one worker."""

    def __init__(self, *, of_one: int = OF_ONE, of_all: int = OF_ALL) -> None:
        """Begin with none; take how many bytes may be under way."""
        self._of_one, self._of_all = of_one, of_all
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._total = 0
        self._moving: set[asyncio.Timeout] = set()

    def has_room(self, client: str) -> bool:
        """Tell whether a client has taken enough of its answers to be given another."""
        return self._held[client] < self._of_one

    def held(self, client: str) -> int:
        """Return how many bytes are on their way to a client."""
        return self._held[client]

    def hold(self, client: str, size: int) -> None:
        """Count bytes on their way to a client."""
        with self._lock:
            self._held[client] += size + KEPT
            self._total += size + KEPT

    def let_go(self, client: str, size: int) -> None:
        """Forget bytes that were held."""
        with self._lock:
            self._total -= size + KEPT
            self._held[client] -= size + KEPT
            if self._held[client] <= 0:
                del self._held[client]

    async def send(self, send: Send, body: bytes, gone: Callable[[], bool] = bool) -> None:
        """Send bytes as they are taken. Raises `TimeoutError` if they are not.

        The same if the client has `gone`: granian drops what nobody is there for without a word.
        """
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(TAKEN_WITHIN) as patience:
                self._moving.add(patience)
                for at in range(0, len(body), SLICE):
                    if gone():
                        raise TimeoutError
                    self._cut_off(now())
                    piece = body[at : at + SLICE]
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    if not patience.expired():
                        patience.reschedule(now() + TAKEN_WITHIN)
        finally:
            self._moving.discard(patience)

    def _cut_off(self, now: float) -> None:
        """Where too much is under way, end the answer that has not moved for longest."""
        if self._total <= self._of_all:
            return
        moving = {one: one.when() or now for one in self._moving if not one.expired()}
        stalest = min(moving, key=moving.__getitem__, default=None)
        if stalest and moving[stalest] < now + TAKEN_WITHIN - STALE:
            stalest.reschedule(now)
