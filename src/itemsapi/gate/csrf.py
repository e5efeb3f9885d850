"""CSRF protection of the refresh cookie: which pages may send a request that uses it.

A request for cookie delivery says so in a custom header, which no form or image can send, and no
page of another origin without a preflight (S-091). In addition, the page's origin must be ours or
listed in the settings, unless the browser says that the page is of our origin (Fetch Metadata).
A rejected request neither clears the cookie nor ends the session.

A page of another site needs a partitioned cookie, which only the pages of a setting of their own
get. With the usual cookie its user would be signed in until the first reload, so it is rejected.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import Request

from itemsapi.problems import BadRequest, CrossSite, MediaTypeWrong

DELIVERY_HEADER = "X-Auth-Delivery"
NOT_LISTED_AS_CROSS_SITE = (
    "The page is on another site, so the browser would drop the cookie. Add its origin to"
    " ITEMSAPI_CROSS_SITE_ORIGINS too."
)
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

    def __init__(self, public_url: str, allowed: Iterable[str], cross_site: Iterable[str]) -> None:
        """Take our own URL, the allowed origins, and those of them that are on another site."""
        self._allowed_origins = frozenset(allowed) | {origin_of(public_url)}
        self._cross_site_origins = frozenset(cross_site)

    def check(self, request: Request) -> None:
        """Check a request with cookie delivery; other requests always pass.

        Raise `CrossSite`, or `MediaTypeWrong` for a body that a form could have sent.
        """
        if requested_delivery(request) != COOKIE:
            return
        if request.mimetype != "application/json":
            raise MediaTypeWrong
        headers = request.headers
        fetch_site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
        if not self._is_allowed(fetch_site, origin):
            raise CrossSite
        if fetch_site == "cross-site" and origin not in self._cross_site_origins:
            raise CrossSite(NOT_LISTED_AS_CROSS_SITE)

    def _is_allowed(self, fetch_site: str | None, origin: str | None) -> bool:
        if fetch_site == "same-origin":
            return True
        if fetch_site not in {None, "same-site", "cross-site"}:
            return False
        return origin in self._allowed_origins
