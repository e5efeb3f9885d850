"""Refusals wait a moment: many clients retry at once, whatever `Retry-After` says.

A refusal costs the worker as much as another answer, so a few clients that send the next request as
soon as they are refused would keep it busy with refusals (benchmarks/storm.py). The wait is in the
event loop and occupies no thread. Beyond a number of waiting refusals others are sent at once, so
that a flood holds few connections, here and in a proxy.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from itemsapi.server.responses import Response

PAUSE_SECONDS: Final = 0.25
MAX_WAITING: Final = 256  # of one worker
REFUSALS: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class Refusals:
    """The refusals of one worker that wait; used in the event loop only."""

    def __init__(self) -> None:
        """Start with none."""
        self._waiting = 0

    async def pause(self, response: Response) -> None:
        """Wait before a response is sent that tells the client to retry later."""
        if self._waiting == MAX_WAITING or not _says_retry_later(response):
            return
        self._waiting += 1
        try:
            await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._waiting -= 1


def _says_retry_later(response: Response) -> bool:
    return response.status in REFUSALS and any(
        name.lower() == b"retry-after" for name, _ in response.headers
    )
