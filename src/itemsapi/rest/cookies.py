"""The refresh cookie: the one place a browser may keep a refresh token (S-090).

`__Host-Http-`: set by this host alone, for every path, over TLS, never from a script
(draft-ietf-httpbis-rfc6265bis). The cookie lives as long as the session can, so that an idle
browser keeps it until the server says no.

Several services on one host, each under its own path, would overwrite each other's cookie:
`__Host-` allows no other `Path` than `/`, so the path is in the name.

There are two kinds, for pages of the same site and of another one (partitioned). A page whose kind
the operator changed sends both; they are no good then, until a sign-in or sign-out removes both.
"""

from datetime import datetime
from urllib.parse import urlsplit

from flask import Request

from itemsapi.settings import Settings

NAME = "__Host-Http-itemsapi_rt"
PLAIN_NAME = "itemsapi_rt"  # where ITEMSAPI_INSECURE_COOKIES is on: Safari on http://localhost

Headers = dict[str, list[str]]

_BLANK = " \t"  # and none of Unicode's: the header is bytes, spelled as Latin-1 (PEP 3333)


def presented(settings: Settings, request: Request) -> list[str]:
    """Return the refresh tokens that came in a cookie: none, one, or one of each kind.

    Werkzeug reads the header as UTF-8, and fails at the Latin-1 of somebody else's cookie. Here
    only ours is looked at: cookies are parted by semicolons, quotes mean nothing (RFC 6265 section
    4.2.1), and no cookie's bytes keep another from being found (S-116).
    """
    pairs = (one.partition("=") for one in _header(request).split(";"))
    return [
        value.strip(_BLANK) for name, _, value in pairs if name.strip(_BLANK) == _name(settings)
    ]


def unreadable(request: Request) -> bool:
    """Tell whether cookies came that nobody can read.

    Some servers hand over an empty header for one that is not ASCII; no browser sends such a thing.
    """
    return "HTTP_COOKIE" in request.environ and not _header(request).strip(_BLANK)


def issued(
    settings: Settings, request: Request, token: str, *, ends: datetime, now: datetime
) -> Headers:
    """Return the headers that put a refresh token into the browser."""
    return _headers(settings, request, token, max(0, int((ends - now).total_seconds())))


def cleared(settings: Settings, request: Request) -> Headers:
    """Return the headers that take the cookie away: at logout only, never with a refusal."""
    return _headers(settings, request, "", 0)


def _headers(settings: Settings, request: Request, value: str, seconds: int) -> Headers:
    """Set the cookie of the page's kind, and remove the other kind where both came."""
    foreign = request.headers.get("Origin") in settings.cross_site_origins
    lines = [_line(settings, value, seconds, foreign=foreign)]
    if len(presented(settings, request)) > 1:
        lines.insert(0, _line(settings, "", 0, foreign=not foreign))
    return {"Set-Cookie": lines}


def _line(settings: Settings, value: str, seconds: int, *, foreign: bool) -> str:
    parts = [f"{_name(settings)}={value}", "Path=/", f"Max-Age={seconds}", "HttpOnly"]
    if foreign:
        parts += ["Secure", "SameSite=None", "Partitioned"]
    else:
        parts += ([] if settings.insecure_cookies else ["Secure"]) + ["SameSite=Strict"]
    return "; ".join(parts)


def _header(request: Request) -> str:
    return str(request.environ.get("HTTP_COOKIE", ""))


def _name(settings: Settings) -> str:
    name = PLAIN_NAME if settings.insecure_cookies else NAME
    return name + urlsplit(settings.public_url).path.replace("/", "~")  # in no path of ours
