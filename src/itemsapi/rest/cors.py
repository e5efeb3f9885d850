"""CORS: which pages of other origins may read our answers (Fetch Standard, S-093).

An exact list, never a reflection, never `null`, never `*`. Credentials go to the sign-in pages
only: there the refresh cookie travels; everywhere else the access token in its header is enough.
"""

from collections.abc import Iterable, Iterator

ALLOW_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOW_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match,"
    " X-Auth-Delivery, X-Request-Id"
)
EXPOSED = "WWW-Authenticate, Retry-After, ETag, Location, X-Request-Id, RateLimit, RateLimit-Policy"
MAX_AGE = "7200"
CREDENTIALED = ("/auth/", "/me/password")


class Cors:
    """Knows what a listed origin needs; answers to all others stay as they are."""

    def __init__(
        self, origins: Iterable[str], *, allow: Iterable[str] = (), expose: Iterable[str] = ()
    ) -> None:
        """Take the exact origins that may read answers.

        Their pages may send the header fields of `allow` and read those of `expose`, beside the
        fixed ones.
        """
        self._origins = frozenset(origins)
        self._allowed = ", ".join([ALLOW_HEADERS, *allow])
        self._exposed = ", ".join([EXPOSED, *expose])

    def headers(
        self, *, origin: str | None, path: str, preflight: bool
    ) -> Iterator[tuple[str, str]]:
        """Yield the CORS headers for `origin`, if it is listed."""
        if origin in self._origins:
            yield from self._for(str(origin), path, preflight=preflight)

    def _for(self, origin: str, path: str, *, preflight: bool) -> Iterator[tuple[str, str]]:
        yield "Access-Control-Allow-Origin", origin
        if path.startswith(CREDENTIALED):
            yield "Access-Control-Allow-Credentials", "true"
        if preflight:
            yield "Access-Control-Allow-Methods", ALLOW_METHODS
            yield "Access-Control-Allow-Headers", self._allowed
            yield "Access-Control-Max-Age", MAX_AGE
        else:
            yield "Access-Control-Expose-Headers", self._exposed
