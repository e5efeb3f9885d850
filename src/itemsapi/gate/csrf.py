"""CSRF protection of the refresh cookie: which pages may send a request that uses it.

A request for cookie delivery says so in a custom header, which no form or image can send, and no
page of another origin without a preflight (S-091). In addition, the page's origin must be ours or
listed in the settings, unless the browser says that the page is of our origin (Fetch Metadata).
A rejected request neither clears the cookie nor ends the session.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import Request

from itemsapi.problems import BadRequest, CrossSite, MediaTypeWrong

DELIVERY_HEADER = "X-Auth-Delivery"
_DELIVERY_VARIABLE = "HTTP_X_AUTH_DELIVERY"
COOKIE, BODY = "cookie", "body"


def requested_delivery(request: Request) -> str:
    """Return how the client wants the refresh token: `cookie`, or `body` by default."""
    delivery = str(request.environ.get(_DELIVERY_VARIABLE, BODY))
    if delivery not in {COOKIE, BODY}:
        raise BadRequest(f"{DELIVERY_HEADER} is cookie, body, or absent.")
    return delivery


def origin_of(url: str) -> str:
    """Return the origin of a URL as browsers write it (RFC 6454 section 6.2).

    The host is in lower case, and the default port is omitted.
    """
    parts = urlsplit(url)
    scheme, hostname = parts.scheme, parts.hostname or ""
    host = f"[{hostname}]" if ":" in hostname else hostname
    is_default_port = parts.port in {None, {"http": 80, "https": 443}.get(scheme)}
    return f"{scheme}://{host}" if is_default_port else f"{scheme}://{host}:{parts.port}"


class CsrfPolicy:
    """Checks that a request which uses the cookie comes from an allowed page."""

    def __init__(self, public_url: str, allowed: Iterable[str]) -> None:
        """Take our own URL and the allowed origins of the settings."""
        self._allowed_origins = frozenset(allowed) | {origin_of(public_url)}

    def check(self, request: Request) -> None:
        """Check a request with cookie delivery; other requests always pass.

        Raise `CrossSite`, or `MediaTypeWrong` for a body that a form could have sent.
        """
        if requested_delivery(request) != COOKIE:
            return
        if request.mimetype != "application/json":
            raise MediaTypeWrong
        headers = request.headers
        if not self._is_allowed(headers.get("Sec-Fetch-Site"), headers.get("Origin")):
            raise CrossSite

    def _is_allowed(self, fetch_site: str | None, origin: str | None) -> bool:
        if fetch_site == "same-origin":
            return True
        if fetch_site not in {None, "same-site", "cross-site"}:
            return False
        return origin in self._allowed_origins
