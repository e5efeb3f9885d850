"""The refresh cookie: the only place where a browser stores a refresh token (S-090).

The prefix `__Host-Http-` means: set by this host only, for every path, over TLS, and never by a
script (draft-ietf-httpbis-rfc6265bis). The cookie lives as long as the session can, so an idle
browser keeps it until the server rejects it.

Several services on one host, each under its own path, would overwrite each other's cookies, because
`__Host-` requires `Path=/`. So the name of the cookie contains the path.

There are two kinds of cookie: for pages of the same site, and partitioned for pages of other sites.
If the operator moves a page from one kind to the other, its browser sends both. A refresh is then
rejected, until a sign-in or sign-out removes both.
"""

from datetime import datetime
from urllib.parse import urlsplit

from flask import Request

from itemsapi.settings import Settings

NAME = "__Host-Http-itemsapi_rt"
PLAIN_NAME = "itemsapi_rt"  # with ITEMSAPI_INSECURE_COOKIES, for Safari on http://localhost

Headers = dict[str, list[str]]

_BLANK = " \t"  # no Unicode whitespace: the header is bytes, decoded as Latin-1 (PEP 3333)


def read_refresh_tokens(settings: Settings, request: Request) -> list[str]:
    """Return the refresh tokens in the cookies of a request: none, one, or one of each kind.

    Werkzeug decodes the header as UTF-8 and fails if another cookie contains Latin-1. This function
    reads only the refresh cookie: semicolons separate cookies, quotes have no meaning (RFC 6265
    section 4.2.1), and the bytes of one cookie do not hide another (S-116).
    """
    pairs = (cookie.partition("=") for cookie in _header(request).split(";"))
    return [
        value.strip(_BLANK) for name, _, value in pairs if name.strip(_BLANK) == _name(settings)
    ]


def is_unreadable(request: Request) -> bool:
    """Return whether the server dropped the content of the `Cookie` header.

    Some servers replace a header that is not ASCII with an empty one. Browsers never send an empty
    `Cookie` header.
    """
    return "HTTP_COOKIE" in request.environ and not _header(request).strip(_BLANK)


def set_cookie_headers(
    settings: Settings, request: Request, token: str, *, ends: datetime, now: datetime
) -> Headers:
    """Return the headers that store a refresh token in the browser."""
    return _headers(settings, request, token, max(0, int((ends - now).total_seconds())))


def clear_cookie_headers(settings: Settings, request: Request) -> Headers:
    """Return the headers that delete the cookie: for logout only, never for an error response."""
    return _headers(settings, request, "", 0)


def _headers(settings: Settings, request: Request, value: str, seconds: int) -> Headers:
    """Set the cookie of the page's kind, and delete the other kind if the request has both."""
    cross_site = request.headers.get("Origin") in settings.cross_site_origins
    lines = [_line(settings, value, seconds, cross_site=cross_site)]
    if len(read_refresh_tokens(settings, request)) > 1:
        lines.insert(0, _line(settings, "", 0, cross_site=not cross_site))
    return {"Set-Cookie": lines}


def _line(settings: Settings, value: str, seconds: int, *, cross_site: bool) -> str:
    parts = [f"{_name(settings)}={value}", "Path=/", f"Max-Age={seconds}", "HttpOnly"]
    if cross_site:
        parts += ["Secure", "SameSite=None", "Partitioned"]
    else:
        parts += ([] if settings.insecure_cookies else ["Secure"]) + ["SameSite=Strict"]
    return "; ".join(parts)


def _header(request: Request) -> str:
    return str(request.environ.get("HTTP_COOKIE", ""))


def _name(settings: Settings) -> str:
    name = PLAIN_NAME if settings.insecure_cookies else NAME
    return name + urlsplit(settings.public_url).path.replace("/", "~")  # no path contains ~
