"""A client that was refused and comes back too early waits for its next refusal.

A refusal costs the worker as much as another answer, so a few clients that send the next request as
soon as they are refused, whatever `Retry-After` says, would keep it busy with refusals
(docs/adr/0022). The first refusal of a connection is sent at once; the next one within a second
waits in the event loop, which occupies no thread. Beyond a number of waiting refusals others are
sent at once, so that a flood holds few connections, here and in a proxy.
"""

import asyncio
from collections import OrderedDict
from http import HTTPStatus
from typing import Final

from itemsapi.server.responses import Response

PAUSE_SECONDS: Final = 0.25
TOO_EARLY_SECONDS: Final = 1.0  # the least that `Retry-After` can say
MAX_WAITING: Final = 256  # of one worker
MAX_REMEMBERED: Final = 4096  # as many connections as a worker accepts
REFUSALS: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}

Peer = tuple[str, int]  # the address and port of a connection


class Refusals:
    """The refusals of one worker; used in the event loop only."""

    def __init__(self) -> None:
        """Start with none."""
        self._waiting = 0
        self._last: OrderedDict[Peer, float] = OrderedDict()  # when each connection was refused

    async def pause(self, response: Response, peer: Peer) -> None:
        """Wait before a refusal is sent to a connection that was refused a moment ago."""
        if not _says_retry_later(response):
            return
        if self._is_too_early(peer) and self._waiting < MAX_WAITING:
            self._waiting += 1
            try:
                await asyncio.sleep(PAUSE_SECONDS)
            finally:
                self._waiting -= 1
        self._remember(peer)

    def _is_too_early(self, peer: Peer) -> bool:
        last = self._last.get(peer)
        return last is not None and _now() < last + TOO_EARLY_SECONDS

    def _remember(self, peer: Peer) -> None:
        self._last[peer] = _now()
        self._last.move_to_end(peer)
        if len(self._last) > MAX_REMEMBERED:
            self._last.popitem(last=False)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _says_retry_later(response: Response) -> bool:
    return response.status in REFUSALS and any(
        name.lower() == b"retry-after" for name, _ in response.headers
    )
