"""The default headers and the CORS headers of every response.

A default header is added unless the view set its own. Responses are `no-store` unless a view sets
`Cache-Control`: caching is opt-in, because a cached secret is a leak.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask, Response, current_app, request

from itemsapi.gate.csrf import origin_of
from itemsapi.observability.context import request_context
from itemsapi.rest.unlisted_origins import UnlistedOrigins
from itemsapi.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

RESPONSE_HEADERS = "itemsapi.response_headers"  # the extension
HSTS_MAX_AGE_SECONDS = 365 * 24 * 3600

_COMMON = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    # Applies only to reads without CORS, so it blocks no allowed SPA.
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
# A proxy that compresses a response must weaken its ETag, and a weak ETag matches no If-Match, so
# every change would be rejected. `no-transform` forbids compression (RFC 9111 section 5.2.2.6).
VERSIONED = ("Cache-Control", "no-store, no-transform")
ALWAYS = tuple((name.lower(), name, value) for name, value in _COMMON)
_NAMES = frozenset(key for key, _, _ in ALWAYS)
# Added to a view's own `Vary`: fields of the same name form one list (RFC 9110 section 5.3).
VARY = ("Vary", "Authorization, Cookie, Origin")
TLS_ONLY = ("Strict-Transport-Security", f"max-age={HSTS_MAX_AGE_SECONDS}; includeSubDomains")
TOKENS_ONLY = ("Pragma", "no-cache")  # RFC 6749 section 5.1
TOKEN_PATHS = ("/auth/", "/oauth/", "/me/password")


def default_headers(
    own_headers: Iterable[tuple[str, str]], path: str, request_id: str, *, tls: bool
) -> list[tuple[str, str]]:
    """Return the headers to add to a response that has `own_headers`."""
    present = {name.lower() for name, _ in own_headers}
    added = [VERSIONED] if "etag" in present and "cache-control" not in present else []
    present |= {name.lower() for name, _ in added}
    if present.isdisjoint(_NAMES):  # as most are
        added += _COMMON
    else:
        added += [(name, value) for key, name, value in ALWAYS if key not in present]
    if tls:
        added.append(TLS_ONLY)
    if path.startswith(TOKEN_PATHS):
        added.append(TOKENS_ONLY)
    added += [VARY, ("X-Request-Id", request_id)]
    return added


def header_meanings(names: Iterable[str]) -> Mapping[str, str]:
    """Return the meaning of the named response headers, for the document."""
    return {name: MEANINGS[name] for name in names}


MEANINGS = {
    "Allow": "The methods that this path supports.",
    "ETag": "The version of this representation; send it back in `If-Match` or `If-None-Match`.",
    "Location": "The path of the new resource.",
    "Set-Cookie": "With cookie delivery: the refresh token, which scripts cannot read.",
    "Retry-After": "The number of seconds to wait before the next attempt.",
    "WWW-Authenticate": "How to authenticate, and what was wrong (RFC 6750 section 3).",
    "X-Request-Id": "The id of this request, as in the log.",
}


def documented_headers(*names: str) -> dict[str, dict[str, object]]:
    """Return headers for `response(headers=...)`, with their descriptions."""
    return {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in header_meanings(names).items()
    }


# CORS: which other origins may read the responses of this service (Fetch Standard, S-093).
#
# Origins are an exact list: never reflected, never `null`, never `*`. Credentials are allowed only
# for the paths that use the refresh cookie; elsewhere the access token in its header is enough.

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


class ResponseHeaders:
    """The headers added to each response: the default ones and those of CORS."""

    def __init__(
        self, cors: Cors, unlisted: UnlistedOrigins, *, tls: bool, url_prefix: str = ""
    ) -> None:
        """Take the origins, and what reports the others.

        `tls` says that clients use https, whatever this server speaks. The paths of the layer
        begin with `url_prefix`.
        """
        self._cors, self._unlisted = cors, unlisted
        self._tls, self._url_prefix = tls, url_prefix

    def added(
        self, environ: "WSGIEnvironment", own_headers: Iterable[tuple[str, str]], request_id: str
    ) -> list[tuple[str, str]]:
        """Return the headers to add to a response that has `own_headers`."""
        return [*self.defaults(environ, own_headers, request_id), *self.cors(environ)]

    def defaults(
        self, environ: "WSGIEnvironment", own_headers: Iterable[tuple[str, str]], request_id: str
    ) -> list[tuple[str, str]]:
        """Return the default headers to add to a response that has `own_headers`."""
        tls = self._tls or environ["wsgi.url_scheme"] == "https"
        return default_headers(own_headers, self._path(environ), request_id, tls=tls)

    def cors(self, environ: "WSGIEnvironment") -> Iterator[tuple[str, str]]:
        """Yield the CORS headers of a response of the layer."""
        yield from self._cors_of(environ, self._path(environ))

    def cors_of_application(self, environ: "WSGIEnvironment") -> Iterator[tuple[str, str]]:
        """Yield the CORS headers of a response of the application's own: without credentials."""
        yield from self._cors_of(environ, path="/")

    def _path(self, environ: "WSGIEnvironment") -> str:
        """Return the path below the prefix of the layer, as Werkzeug routes it."""
        path: str = "/" + environ.get("PATH_INFO", "").lstrip("/")
        return path.removeprefix(self._url_prefix)

    def _cors_of(self, environ: "WSGIEnvironment", path: str) -> Iterator[tuple[str, str]]:
        if origin := environ.get("HTTP_ORIGIN"):
            asks_for_method = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            preflight = asks_for_method and environ["REQUEST_METHOD"] == "OPTIONS"
            self._unlisted.report(environ)
            yield from self._cors.headers(origin=origin, path=path, preflight=preflight)


def response_headers(settings: Settings, url_prefix: str = "") -> ResponseHeaders:
    """Return the response headers for these settings, and the prefix of the layer's paths."""
    cors = Cors(
        settings.allowed_origins, allow=settings.allow_headers, expose=settings.expose_headers
    )
    unlisted = UnlistedOrigins({*settings.allowed_origins, origin_of(settings.public_url)})
    tls = settings.public_url.startswith("https:")
    return ResponseHeaders(cors, unlisted, tls=tls, url_prefix=url_prefix)


def add_response_headers(response: Response) -> Response:
    """Add the headers to a response of a blueprint, unless the middleware adds them."""
    headers = current_app.extensions.get(RESPONSE_HEADERS)
    if not isinstance(headers, ResponseHeaders):
        return response
    for name, value in headers.cors(request.environ):
        response.headers[name] = value  # a page could read none of two answers
    return add_default_headers(response)


def add_default_headers(response: Response) -> Response:
    """Add the default headers to a response without them, unless the middleware adds them.

    Those of CORS are added by the blueprint, or by the application, which may have flask-cors.
    """
    headers = current_app.extensions.get(RESPONSE_HEADERS)
    if isinstance(headers, ResponseHeaders) and "X-Request-Id" not in response.headers:
        request_id = request_context().request_id
        response.headers.extend(headers.defaults(request.environ, [*response.headers], request_id))
    return response


def add_cors_headers_last(app: Flask) -> None:
    """Add CORS headers to the responses that have none when all hooks of the application ran.

    Flask calls the functions of `after_request` in reverse order, so the first one comes last.
    Otherwise flask-cors would find an origin, and add neither credentials nor its other headers.
    """
    app.after_request_funcs.setdefault(None, []).insert(0, _add_cors_headers)


def cors_of_application(app: Flask) -> "Callable[[WSGIEnvironment], Iterable[tuple[str, str]]]":
    """Return what gives the CORS headers of a response of the application, from its environment.

    They are none unless the layer adds them to all responses.
    """
    headers = app.extensions.get(RESPONSE_HEADERS)
    if _add_cors_headers not in app.after_request_funcs.get(None, ()):
        return lambda _: ()
    assert isinstance(headers, ResponseHeaders)  # noqa: S101 - tells the type checker
    return lambda environ: [("Vary", "Origin"), *headers.cors_of_application(environ)]


def _add_cors_headers(response: Response) -> Response:
    """Let pages of the allowed origins read a response, unless it says who may."""
    headers = current_app.extensions[RESPONSE_HEADERS]
    assert isinstance(headers, ResponseHeaders)  # noqa: S101 - tells the type checker
    response.vary.add("Origin")
    if "Access-Control-Allow-Origin" not in response.headers:
        response.headers.update(headers.cors_of_application(request.environ))
    return response


def finish_headers(response: Response) -> Response:
    """Complete the headers of a response of a blueprint; one function, as Flask wraps each."""
    return add_response_headers(remove_content_type_without_content(response))


def remove_content_type_without_content(response: Response) -> Response:
    """Remove the media type that Flask gives every response: a 204 has no content (S-015)."""
    if response.status_code == HTTPStatus.NO_CONTENT:
        response.headers.pop("Content-Type", None)
    return response
