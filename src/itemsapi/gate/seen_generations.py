"""Record, after the response is sent, that a client uses a generation of tokens."""

import threading
from collections.abc import Callable

from flask import Response, after_this_request

from itemsapi.observability.logging import log
from itemsapi.tokens.claims import Claims

FIRST_GENERATION = 1  # it has no predecessor that could heal
MAX_REMEMBERED_GENERATIONS = 8192  # per process: some 250 bytes each


class SeenGenerations:
    """Record each generation that this process sees, once, after the response is sent.

    A failed write fails no request: it is repeated at the next use of that generation (S-074).
    While writes fail, only one thread at a time attempts one, so that a database that is
    unavailable blocks no more than that.
    """

    def __init__(self, write: Callable[[str, int], None]) -> None:
        """Take the function that records a generation of a session in the database."""
        self._write_to_database = write
        self._recorded: dict[tuple[str, int], None] = {}
        self._in_progress: set[tuple[str, int]] = set()
        self._failing = False
        self._attempt_lock = threading.Lock()
        self._recorded_lock = threading.Lock()

    def record_after_response(self, claims: Claims) -> None:
        """Record the generation after the current response, unless it is recorded already."""
        generation = (claims.sid, claims.gen)
        if claims.gen > FIRST_GENERATION and generation not in self._recorded:
            after_this_request(lambda response: self._schedule(response, generation))

    def _schedule(self, response: Response, generation: tuple[str, int]) -> Response:
        """Record when the response has been sent; before it, if it is a stream or a file.

        A client can keep a stream open, and Werkzeug does not close a response that the server
        sends as a file.
        """
        if response.is_streamed or response.direct_passthrough:
            self._record(generation)
        else:
            response.call_on_close(lambda: self._record(generation))
        return response

    def _record(self, generation: tuple[str, int]) -> None:
        if generation in self._recorded or generation in self._in_progress:
            return
        is_only_attempt = self._failing
        if is_only_attempt and not self._attempt_lock.acquire(blocking=False):
            return
        self._in_progress.add(generation)
        try:
            self._write_to_database(*generation)
        except Exception as error:  # noqa: BLE001 - the response is sent: nobody can get an error
            self._failing = True
            log.warning(
                "generation_not_noted", session_id=generation[0], error=type(error).__name__
            )
        else:
            self._failing = False
            self._remember(generation)
        finally:
            self._in_progress.discard(generation)
            if is_only_attempt:
                self._attempt_lock.release()

    def _remember(self, generation: tuple[str, int]) -> None:
        with self._recorded_lock:
            self._recorded[generation] = None
            while len(self._recorded) > MAX_REMEMBERED_GENERATIONS:
                del self._recorded[next(iter(self._recorded))]
