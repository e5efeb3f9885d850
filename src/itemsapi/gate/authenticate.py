"""Authenticate a request: read its bearer token strictly, and verify it.

Only the Authorization header is read. A token in a query, a form, a body or a cookie is not a
credential (RFC 6750 section 2, RFC 9700 section 4.3.2). The signature of a token is verified once
and the result is cached; revocations are checked for every request.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable

from flask import Request

from itemsapi.clock import Clock, unix_seconds
from itemsapi.problems import TokenInvalid
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.jwt import TokenCodec
from itemsapi.tokens.key_set import KeySet
from itemsapi.tokens.revocation import RevocationFeed

MAX_REMEMBERED_TOKENS = 8192  # per process: some 1.5 KB each

_BEARER = re.compile(r"bearer +([!-~]+)", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"bearer(?![!-~])", re.IGNORECASE | re.ASCII)


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
    """Verify access tokens and cache the claims of valid ones."""

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
        self._cache: OrderedDict[str, Claims] = OrderedDict()
        self._lock = threading.Lock()
        self._key_set_version = 0

    def verify(self, token: str) -> Claims:
        """Return the claims of a valid token.

        Raise `TokenInvalid`, or `GateUnavailable` if the keys or the revocations are not known.
        """
        claims, version = self._cached(token)
        if claims is None:
            claims = self._token_codec.verify_access_token(token)
            self._add_to_cache(token, claims, version)
        self._revocation_feed.check(
            sid=claims.sid, gen=claims.gen, user_id=claims.sub, epoch=claims.epoch
        )
        self._on_verified(claims)
        return claims

    def forget(self, token: str) -> None:
        """Remove a token from the cache, so that its next use verifies it again."""
        with self._lock:
            self._cache.pop(token, None)

    def _cached(self, token: str) -> tuple[Claims | None, int]:
        """Return the claims of a cached token, or None, and the current version of the key set."""
        self._key_set.snapshot()
        with self._lock:
            if self._key_set_version != self._key_set.version:
                self._cache.clear()
                self._key_set_version = self._key_set.version
            version, claims = self._key_set_version, self._cache.get(token)
            if claims is not None:
                self._cache.move_to_end(token)
        if claims is not None and claims.exp <= unix_seconds(self._clock()):
            self.forget(token)
            raise TokenInvalid
        return claims, version

    def _add_to_cache(self, token: str, claims: Claims, version: int) -> None:
        """Cache a token, unless the keys changed meanwhile: its key may have been withdrawn."""
        with self._lock:
            if version != self._key_set_version:
                return
            self._cache[token] = claims
            while len(self._cache) > MAX_REMEMBERED_TOKENS:
                self._cache.popitem(last=False)
