"""CORS: which other origins may read the responses of this service (Fetch Standard, S-093).

Origins are an exact list: never reflected, never `null`, never `*`. Credentials are allowed only
for the paths that use the refresh cookie; elsewhere the access token in its header is enough.
"""

from collections.abc import Iterable, Iterator

ALLOW_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOW_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match,"
    " X-Auth-Delivery, X-Request-Id"
)
EXPOSE_HEADERS = (
    "WWW-Authenticate, Retry-After, ETag, Location, X-Request-Id, RateLimit, RateLimit-Policy"
)
MAX_AGE_SECONDS = "7200"
CREDENTIALED_PREFIXES = ("/auth/", "/me/password")


class Cors:
    """Computes the CORS headers for listed origins; other origins get none."""

    def __init__(
        self, origins: Iterable[str], *, allow: Iterable[str] = (), expose: Iterable[str] = ()
    ) -> None:
        """Allow these exact origins to read responses.

        Their pages may also send the header fields `allow` and read the header fields `expose`.
        """
        self._origins = frozenset(origins)
        self._allowed = ", ".join([ALLOW_HEADERS, *allow])
        self._exposed = ", ".join([EXPOSE_HEADERS, *expose])

    def headers(
        self, *, origin: str | None, path: str, preflight: bool
    ) -> Iterator[tuple[str, str]]:
        """Yield the CORS headers for `origin`, if it is listed."""
        if origin in self._origins:
            yield from self._for(str(origin), path, preflight=preflight)

    def _for(self, origin: str, path: str, *, preflight: bool) -> Iterator[tuple[str, str]]:
        yield "Access-Control-Allow-Origin", origin
        if path.startswith(CREDENTIALED_PREFIXES):
            yield "Access-Control-Allow-Credentials", "true"
        if preflight:
            yield "Access-Control-Allow-Methods", ALLOW_METHODS
            yield "Access-Control-Allow-Headers", self._allowed
            yield "Access-Control-Max-Age", MAX_AGE_SECONDS
        else:
            yield "Access-Control-Expose-Headers", self._exposed
