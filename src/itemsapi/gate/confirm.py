"""Confirm: note, after the answer is out, that a generation of tokens has been seen."""

from collections.abc import Callable

from flask import Response, after_this_request

from itemsapi.observe import log
from itemsapi.tokens.claims import Claims

FIRST_GENERATION = 1  # it has no predecessor that could heal


def confirming(note: Callable[[str, int], None]) -> Callable[[Claims], None]:
    """Return what to call with the claims of a token that this process sees for the first time.

    `note(sid, gen)` then runs off the answer's path, and its failure fails no request: another
    process, or the next request after this one forgot the token, notes it again.
    """

    def first_seen(claims: Claims) -> None:
        if claims.gen > FIRST_GENERATION:
            after_this_request(lambda response: _when_sent(response, claims, note))

    return first_seen


def _when_sent(response: Response, claims: Claims, note: Callable[[str, int], None]) -> Response:
    def write() -> None:
        try:
            note(claims.sid, claims.gen)
        except Exception as error:  # noqa: BLE001 - the answer is out, nobody could be told
            log.warning(
                "generation_not_confirmed", session_id=claims.sid, error=type(error).__name__
            )

    response.call_on_close(write)
    return response
