"""The headers of every answer, and the id of every request.

Each header is set unless the page set its own. Everything is `no-store` unless a page says
otherwise: forgetting it costs a little time, the opposite costs a secret.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from itemsapi.clock import new_id
from itemsapi.observability.context import RequestContext
from itemsapi.problems import HeadersTooLarge

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

YEAR = 365 * 24 * 3600
MAX_FIELD = 8 * 1024
MAX_FIELDS = 32 * 1024
MAX_USER_AGENT = 200

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)

_COMMON = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    # Concerns reads without CORS only, so it keeps no allowed SPA out.
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
# A proxy that compresses an answer must weaken its ETag, and a weak one matches no If-Match: every
# change would be refused. Proxies that heed this do not compress (RFC 9111 section 5.2.2.6).
VERSIONED = ("Cache-Control", "no-store, no-transform")
ALWAYS = tuple((name.lower(), name, value) for name, value in _COMMON)
# Added to what a page says itself: header fields of one name make one list (RFC 9110 section 5.3).
VARY = ("Vary", "Authorization, Cookie, Origin")
TLS_ONLY = ("Strict-Transport-Security", f"max-age={YEAR}; includeSubDomains")
TOKENS_ONLY = ("Pragma", "no-cache")  # RFC 6749 section 5.1
TOKEN_PATHS = ("/auth/", "/oauth/", "/me/password")


def origin_of(environ: "WSGIEnvironment") -> RequestContext:
    """Return where the request comes from; its id is the client's if well-formed, or ours."""
    asked = environ.get("HTTP_X_REQUEST_ID", "")
    request_id = asked if _REQUEST_ID.fullmatch(asked) else new_id()
    agent = environ.get("HTTP_USER_AGENT", "")[:MAX_USER_AGENT]
    return RequestContext(
        request_id=request_id,
        address=environ["REMOTE_ADDR"],
        user_agent="".join(c for c in agent if c.isprintable()),
    )


def check_size(environ: "WSGIEnvironment") -> None:
    """Raise `HeadersTooLarge` if one header field or all together are larger than we take."""
    total = 0
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            size = len(value)
            total += size
            if size > MAX_FIELD or total > MAX_FIELDS:
                raise HeadersTooLarge(f"At most {MAX_FIELD} bytes are taken in one header field.")


def default_headers(
    given: Iterable[tuple[str, str]], path: str, request_id: str, *, tls: bool
) -> list[tuple[str, str]]:
    """Return the headers that an answer still needs beside those that are there already."""
    present = {name.lower() for name, _ in given}
    found = [VERSIONED] if "etag" in present and "cache-control" not in present else []
    present |= {name.lower() for name, _ in found}
    found += [(name, value) for key, name, value in ALWAYS if key not in present]
    if tls:
        found.append(TLS_ONLY)
    if path.startswith(TOKEN_PATHS):
        found.append(TOKENS_ONLY)
    found += [VARY, ("X-Request-Id", request_id)]
    return found


def describe(names: Iterable[str]) -> Mapping[str, str]:
    """Return what the named headers of an answer mean, for the document."""
    return {name: MEANINGS[name] for name in names}


MEANINGS = {
    "Allow": "The methods that this address takes.",
    "ETag": "The version of this representation; send it back in `If-Match` or `If-None-Match`.",
    "Location": "Where the new thing is.",
    "Set-Cookie": "With cookie delivery: the refresh token, out of reach of scripts.",
    "Retry-After": "In how many seconds to come back.",
    "WWW-Authenticate": "How to authenticate, and what was wrong (RFC 6750 section 3).",
    "X-Request-Id": "The id of this request; it finds the request in the log.",
}


def documented_headers(*names: str) -> dict[str, dict[str, object]]:
    """Return headers for `response(headers=...)`, each with its meaning."""
    return {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in describe(names).items()
    }
