"""The token response, with the refresh token in its body or in a cookie; the attempt id."""

import re
from datetime import datetime
from urllib.parse import urlsplit

import flask
from flask import Request

from itemsapi.gate.csrf import COOKIE
from itemsapi.issuer.issuer import Grant
from itemsapi.problems import BadRequest
from itemsapi.rest import Schema, fields
from itemsapi.services import services
from itemsapi.settings import Settings

# The refresh cookie: the only place where a browser stores a refresh token (S-090).
#
# The prefix `__Host-Http-` means: set by this host only, for every path, over TLS, and never by a
# script (draft-ietf-httpbis-rfc6265bis). The cookie lives as long as the session can, so an idle
# browser keeps it until the server rejects it.
#
# Several services on one host, each under its own path, would overwrite each other's cookies,
# because `__Host-` requires `Path=/`. So the name of the cookie contains the path.
#
# There are two kinds of cookie: for pages of the same site, and partitioned for pages of other
# sites. If the operator moves a page from one kind to the other, its browser sends both. A refresh
# is then rejected, until a sign-in or sign-out removes both.

COOKIE_NAME = "__Host-Http-itemsapi_rt"
PLAIN_COOKIE_NAME = "itemsapi_rt"  # with ITEMSAPI_INSECURE_COOKIES, for Safari on http://localhost

EXAMPLE_REFRESH_TOKEN = "eyJhbGciOiJIUzI1NiIs..."  # noqa: S105 - for the document

Headers = dict[str, list[str]]

_BLANK = " \t"  # no Unicode whitespace: the header is bytes, decoded as Latin-1 (PEP 3333)


def read_refresh_tokens(settings: Settings, request: Request) -> list[str]:
    """Return the refresh tokens in the cookies of a request: none, one, or one of each kind.

    Werkzeug decodes the header as UTF-8 and fails if another cookie contains Latin-1. This function
    reads only the refresh cookie: semicolons separate cookies, quotes have no meaning (RFC 6265
    section 4.2.1), and the bytes of one cookie do not hide another (S-116).
    """
    pairs = (cookie.partition("=") for cookie in _cookie_header(request).split(";"))
    return [
        value.strip(_BLANK)
        for name, _, value in pairs
        if name.strip(_BLANK) == _cookie_name(settings)
    ]


def has_unreadable_cookie(request: Request) -> bool:
    """Return whether the server dropped the content of the `Cookie` header.

    Some servers replace a header that is not ASCII with an empty one. Browsers never send an empty
    `Cookie` header.
    """
    return "HTTP_COOKIE" in request.environ and not _cookie_header(request).strip(_BLANK)


def set_cookie_headers(
    settings: Settings, request: Request, token: str, *, ends: datetime, now: datetime
) -> Headers:
    """Return the headers that store a refresh token in the browser."""
    return _set_cookie_headers(settings, request, token, max(0, int((ends - now).total_seconds())))


def clear_cookie_headers(settings: Settings, request: Request) -> Headers:
    """Return the headers that delete the cookie: for logout only, never for an error response."""
    return _set_cookie_headers(settings, request, "", 0)


def _set_cookie_headers(settings: Settings, request: Request, value: str, seconds: int) -> Headers:
    """Set the cookie of the page's kind, and delete the other kind if the request has both."""
    cross_site = request.headers.get("Origin") in settings.cross_site_origins
    lines = [_cookie_line(settings, value, seconds, cross_site=cross_site)]
    if len(read_refresh_tokens(settings, request)) > 1:
        lines.insert(0, _cookie_line(settings, "", 0, cross_site=not cross_site))
    return {"Set-Cookie": lines}


def _cookie_line(settings: Settings, value: str, seconds: int, *, cross_site: bool) -> str:
    parts = [f"{_cookie_name(settings)}={value}", "Path=/", f"Max-Age={seconds}", "HttpOnly"]
    if cross_site:
        parts += ["Secure", "SameSite=None", "Partitioned"]
    else:
        parts += ([] if settings.insecure_cookies else ["Secure"]) + ["SameSite=Strict"]
    return "; ".join(parts)


def _cookie_header(request: Request) -> str:
    return str(request.environ.get("HTTP_COOKIE", ""))


def _cookie_name(settings: Settings) -> str:
    name = PLAIN_COOKIE_NAME if settings.insecure_cookies else COOKIE_NAME
    return name + urlsplit(settings.public_url).path.replace("/", "~")  # no path contains ~


class TokenUser(Schema):
    """The user of the tokens, for a page that shows who is signed in."""

    id = fields.String(required=True)
    username = fields.String(required=True)


class Tokens(Schema):
    """A token response (RFC 6749 section 5.1)."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    scope = fields.String(required=True)
    session_id = fields.String(required=True)
    user = fields.Nested(TokenUser(), required=True)
    refresh_token = fields.String(
        metadata={
            "description": "Absent with cookie delivery. If it is absent, keep the one you have.",
            "optional": True,
        }
    )


# Commas are excluded, because a server joins repeated header fields with commas (RFC 9110 5.3).
ATTEMPT_ID = r"^[!-+\--~]{22,128}\Z"


class AttemptHeaders(Schema):
    """The id of a refresh attempt."""

    attempt_id = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        metadata={
            "description": "Random text of 22 to 128 characters, new for each refresh. If no"
            " response arrives, repeat the request with the same key and token: the response"
            " contains the same new refresh token, until that token is used.",
            "pattern": ATTEMPT_ID.replace(r"\Z", "$"),
        },
    )


def attempt_id(headers: dict[str, str | None]) -> str | None:
    """Return the id of this attempt, if any, or raise `BadRequest` if it is malformed."""
    attempt = headers["attempt_id"]
    if attempt is not None and not re.match(ATTEMPT_ID, attempt):
        raise BadRequest(
            "`Idempotency-Key` must be 22 to 128 visible ASCII characters, without comma."
        )
    return attempt


def token_response(grant: Grant) -> object:
    """Return the token response, with the refresh token in the cookie or in the body.

    A grant without refresh token sets neither: the client keeps the token that it has, or that it
    got from another response (RFC 6749 section 6).
    """
    body = {
        "access_token": grant.access_token,
        "token_type": grant.token_type,
        "expires_in": grant.expires_in,
        "scope": grant.scope,
        "session_id": grant.session_id,
        "user": {"id": grant.user_id, "username": grant.username},
    }
    if grant.refresh_token is None:
        return body
    if grant.delivery != COOKIE:
        return body | {"refresh_token": grant.refresh_token}
    now, ends = services().clock(), grant.session_ends
    return body, set_cookie_headers(
        services().settings, flask.request, grant.refresh_token, ends=ends, now=now
    )
