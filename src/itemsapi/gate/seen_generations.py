"""Note, after the response is sent, that a generation of tokens has been seen."""

import threading
from collections.abc import Callable

from flask import Response, after_this_request

from itemsapi.observability.logging import log
from itemsapi.tokens.claims import Claims

FIRST_GENERATION = 1  # it has no predecessor that could heal
MAX_REMEMBERED_GENERATIONS = 8192  # generations remembered per process: some 250 bytes each


class SeenGenerations:
    """Notes each generation that this process sees, once, after the response is sent.

    A note that failed fails no request: it is tried again at the next use of that generation
    (S-074). While notes fail, one thread at a time tries, so that a dead database blocks no more.
    """

    def __init__(self, note: Callable[[str, int], None]) -> None:
        """Take what writes a note for a session's id and a generation."""
        self._note = note
        self._noted: dict[tuple[str, int], None] = {}
        self._under_way: set[tuple[str, int]] = set()
        self._failing = False
        self._trying = threading.Lock()
        self._remembering = threading.Lock()

    def record_after_response(self, claims: Claims) -> None:
        """Have the generation noted after this response, unless it is noted already."""
        seen = (claims.sid, claims.gen)
        if claims.gen > FIRST_GENERATION and seen not in self._noted:
            after_this_request(lambda response: self._when_sent(response, seen))

    def _when_sent(self, response: Response, seen: tuple[str, int]) -> Response:
        """Write the note when the response is sent; before a stream or a file.

        A client can hold a stream open, and Werkzeug does not close a response that the server
        takes as a file.
        """
        if response.is_streamed or response.direct_passthrough:
            self._write(seen)
        else:
            response.call_on_close(lambda: self._write(seen))
        return response

    def _write(self, seen: tuple[str, int]) -> None:
        if seen in self._noted or seen in self._under_way:
            return
        alone = self._failing
        if alone and not self._trying.acquire(blocking=False):
            return
        self._under_way.add(seen)
        try:
            self._note(*seen)
        except Exception as error:  # noqa: BLE001 - the answer is out, nobody could be told
            self._failing = True
            log.warning("generation_not_noted", session_id=seen[0], error=type(error).__name__)
        else:
            self._failing = False
            self._remember(seen)
        finally:
            self._under_way.discard(seen)
            if alone:
                self._trying.release()

    def _remember(self, seen: tuple[str, int]) -> None:
        with self._remembering:
            self._noted[seen] = None
            while len(self._noted) > MAX_REMEMBERED_GENERATIONS:
                del self._noted[next(iter(self._noted))]
