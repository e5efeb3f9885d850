"""Authenticate a request: read its bearer token strictly, and verify it.

Exactly one transport counts: the Authorization header. Tokens in queries, forms, bodies or cookies
open no endpoint (RFC 6750 section 2, RFC 9700 section 4.3.2). Remembered tokens skip the
verification of the signature, never that of the revocations.
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

MAX_REMEMBERED_TOKENS = 8192  # tokens remembered per process: some 1.5 KB each

_BEARER = re.compile(r"bearer +([!-~]+)", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"bearer(?![!-~])", re.IGNORECASE | re.ASCII)


def bearer_token(request: Request) -> str | None:
    """Return the bearer token of a request, or None if it shows no bearer credential.

    The scheme is compared without case and parted by one or more spaces (RFC 9110 section 11.1).
    Raises `TokenInvalid` for a bearer credential that is malformed, or two of them.
    """
    header = request.environ.get("HTTP_AUTHORIZATION", "")
    match = _BEARER.fullmatch(header)
    if match is not None:
        return match[1]
    if _SCHEME.match(header):
        raise TokenInvalid
    return None


class TokenVerifier:
    """Verifies access tokens and remembers those that passed.

    `seen` is called with the claims of every token that passes.
    """

    def __init__(
        self,
        *,
        token_codec: TokenCodec,
        key_set: KeySet,
        revocation_feed: RevocationFeed,
        clock: Clock,
        on_verified: Callable[[Claims], None],
    ) -> None:
        """Take what judges a token; nothing is remembered yet."""
        self._token_codec, self._key_set, self._revocation_feed, self._clock = (
            token_codec,
            key_set,
            revocation_feed,
            clock,
        )
        self._seen = on_verified
        self._memory: OrderedDict[str, Claims] = OrderedDict()
        self._lock = threading.Lock()
        self._version = 0

    def verify(self, token: str) -> Claims:
        """Return the claims of a good token.

        Raises `TokenInvalid`, or `GateUnavailable` when keys or revocations cannot be known.
        """
        claims, version = self._remembered(token)
        if claims is None:
            claims = self._token_codec.verify_access_token(token)
            self._remember(token, claims, version)
        self._revocation_feed.check(
            sid=claims.sid, gen=claims.gen, user_id=claims.sub, epoch=claims.epoch
        )
        self._seen(claims)
        return claims

    def forget(self, token: str) -> None:
        """Verify a token anew when it comes next."""
        with self._lock:
            self._memory.pop(token, None)

    def _remembered(self, token: str) -> tuple[Claims | None, int]:
        """Return the claims if the token is remembered, and the version of the keys just now."""
        self._key_set.snapshot()
        with self._lock:
            if self._version != self._key_set.version:
                self._memory.clear()
                self._version = self._key_set.version
            version, claims = self._version, self._memory.get(token)
            if claims is not None:
                self._memory.move_to_end(token)
        if claims is not None and claims.exp <= unix_seconds(self._clock()):
            self.forget(token)
            raise TokenInvalid
        return claims, version

    def _remember(self, token: str, claims: Claims, version: int) -> None:
        """Remember a token, unless the keys changed while it was verified: its own may be gone."""
        with self._lock:
            if version != self._version:
                return
            self._memory[token] = claims
            while len(self._memory) > MAX_REMEMBERED_TOKENS:
                self._memory.popitem(last=False)
