"""Browsers: whether the page that sent a request may use the refresh cookie.

A request that wants cookie delivery says so in a header of our own, which no form and no image can
send and no foreign page may without a preflight (S-091). On top, the page's origin must be ours or
listed; where the browser says how the page relates to us (Fetch Metadata), that counts.
A refusal neither clears the cookie nor ends the session.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import Request

from itemsapi.problems import BadRequest, CrossSite, MediaTypeWrong

DELIVERY_HEADER = "X-Auth-Delivery"
COOKIE, BODY = "cookie", "body"


def requested_delivery(request: Request) -> str:
    """Return how the refresh token travels: `cookie` if the client asks for it, else `body`."""
    wanted = request.headers.get(DELIVERY_HEADER, BODY)
    if wanted not in {COOKIE, BODY}:
        raise BadRequest(f"{DELIVERY_HEADER} is cookie, body, or absent.")
    return wanted


def origin_of(url: str) -> str:
    """Return the origin of an address as browsers spell it (RFC 6454 section 6.2).

    The host in lower case, and without the port that goes without saying.
    """
    parts = urlsplit(url)
    scheme, host = parts.scheme, parts.hostname or ""
    named = f"[{host}]" if ":" in host else host
    usual = parts.port in {None, {"http": 80, "https": 443}.get(scheme)}
    return f"{scheme}://{named}" if usual else f"{scheme}://{named}:{parts.port}"


class CsrfPolicy:
    """Knows from which pages a cookie may be used."""

    def __init__(self, public_url: str, allowed: Iterable[str]) -> None:
        """Take our own address and the origins that the operator lists."""
        self._listed = frozenset(allowed) | {origin_of(public_url)}

    def check(self, request: Request) -> None:
        """Let requests pass that use no cookie; the others from a good page only.

        Raises `CrossSite`, and `MediaTypeWrong` for a body that a form could have sent.
        """
        if requested_delivery(request) != COOKIE:
            return
        if request.mimetype != "application/json":
            raise MediaTypeWrong
        if not self._welcome(request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")):
            raise CrossSite

    def _welcome(self, site: str | None, origin: str | None) -> bool:
        if site == "same-origin":
            return True
        return site in {None, "same-site", "cross-site"} and origin in self._listed
