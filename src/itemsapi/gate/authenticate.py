"""The access token as a credential: read the bearer token of a request strictly, and verify it.

Only the Authorization header is read. A token in a query, a form, a body or a cookie is not a
credential (RFC 6750 section 2, RFC 9700 section 4.3.2). The signature of a token is verified once
and the result is cached; revocations are checked for every request. The use of a generation of
tokens is recorded after the response (`SeenGenerations`).
"""

import re
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flask import Request, Response, after_this_request

from itemsapi.clock import Clock
from itemsapi.gate.caller import Caller, caller_of
from itemsapi.gate.rules import ACCESS_TOKEN
from itemsapi.gate.token_cache import TokenCache
from itemsapi.observability.logging import log
from itemsapi.problems import BEARER, TokenInvalid
from itemsapi.tokens.api_keys import PREFIX
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.jwt import TokenCodec
from itemsapi.tokens.key_set import KeySet
from itemsapi.tokens.revocation import RevocationFeed

_BEARER = re.compile(r"bearer +([!-~]+)", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"bearer(?![!-~])", re.IGNORECASE | re.ASCII)
_USUAL = "Bearer ey"  # how the header with a JWT begins, as nearly all clients write it
_NO_API_KEY = re.compile(rf"(?i:bearer)(?![!-~])(?! +{PREFIX})", re.ASCII)


def bearer_token(request: Request) -> str | None:
    """Return the bearer token of a request, or None if it has no bearer credential.

    The scheme is case-insensitive and followed by one or more spaces (RFC 9110 section 11.1).
    Raise `TokenInvalid` if the bearer credential is malformed, or if there are two.
    """
    header = request.environ.get("HTTP_AUTHORIZATION", "")
    match = _BEARER.fullmatch(header)
    if match is not None:
        return match[1]
    if _SCHEME.match(header):
        raise TokenInvalid
    return None


class TokenVerifier:
    """Verify access tokens and cache the callers of valid ones.

    It is the credential `access_token`, which every gate has (`itemsapi.gate.credentials`).
    """

    name = ACCESS_TOKEN
    scheme = BEARER
    # Only where it is in a request: `gate.openapi` documents it, with the scopes.
    documentation: Mapping[str, Any] = MappingProxyType({"type": "http"})

    def __init__(
        self,
        *,
        token_codec: TokenCodec,
        key_set: KeySet,
        revocation_feed: RevocationFeed,
        clock: Clock,
        on_verified: Callable[[Claims], None],
    ) -> None:
        """Take what verifies a token; `on_verified` is called with the claims of a valid one."""
        self._token_codec, self._key_set = token_codec, key_set
        self._revocation_feed, self._clock = revocation_feed, clock
        self._on_verified = on_verified
        self._cache: TokenCache[tuple[Claims, Caller]] = TokenCache(self._key_set_version)

    def is_present(self, request: Request) -> bool:
        """Return whether a request has a bearer credential, valid or not, that is no API key."""
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        return header.startswith(_USUAL) or _NO_API_KEY.match(header) is not None

    def authenticate(self, request: Request) -> Caller | None:
        """Return the caller of a request; None if it has no bearer credential.

        Raise as `verify` does.
        """
        token = bearer_token(request)
        return None if token is None else self.verify(token)

    def verify(self, token: str) -> Caller:
        """Return the caller of a valid token.

        Raise `TokenInvalid`, or `GateUnavailable` if the keys or the revocations are not known.
        """
        entry, version = self._cache.get(token)
        if entry is None:
            claims = self._token_codec.verify_access_token(token)
            caller = caller_of(claims)
            self._cache.add(token, (claims, caller), version)
        else:
            claims, caller = entry
            if claims.exp <= self._clock().timestamp():
                self.forget(token)
                raise TokenInvalid
        self._revocation_feed.check(
            sid=claims.sid, gen=claims.gen, user_id=claims.sub, epoch=claims.epoch
        )
        self._on_verified(claims)
        return caller

    def forget(self, token: str) -> None:
        """Remove a token from the cache, so that its next use verifies it again."""
        self._cache.forget(token)

    def _key_set_version(self) -> int:
        """Return the version of the keys, after they were read if they are due."""
        self._key_set.snapshot()
        return self._key_set.version


def run_after_response(function: Callable[[], None]) -> None:
    """Call a function when the response has been sent; before it, if it is a stream or a file.

    A client can keep a stream open, and Werkzeug does not close a response that the server sends as
    a file.
    """

    def schedule(response: Response) -> Response:
        """Call the function with the end of this response."""
        if response.is_streamed or response.direct_passthrough:
            function()
        else:
            response.call_on_close(function)
        return response

    after_this_request(schedule)


# Record, after the response is sent, that a client uses a generation of tokens.

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
            run_after_response(lambda: self._record(generation))

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
