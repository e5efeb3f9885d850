"""The WSGI middleware around the application.

It corrects the client address and the path of a request (`Proxies`), limits its header fields, sets
the request context, adds the default and CORS headers to each response, and handles the exceptions
that Flask does not (S-197): Flask propagates a `BaseException` such as a library's `sys.exit()`,
and whatever a teardown function raises after the response was built. Both become a 500 here. Only
`KeyboardInterrupt` is propagated, so that a developer can stop the server with Ctrl-C.

After the response is sent, the request context is reset, because the thread is reused.
"""

# ruff: noqa: ANN401 - PEP 3333 passes exc_info and the writer untyped

import sys
from collections.abc import Iterable, Iterator
from contextvars import Token
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from itemsapi.observability.access_log import HIDDEN_PATH, log_response
from itemsapi.observability.context import (
    RequestContext,
    read_request_context,
    reset_request_context,
    set_request_context,
)
from itemsapi.observability.logging import log, log_failure
from itemsapi.problems import HeadersTooLarge, Problem
from itemsapi.rest import error_handlers
from itemsapi.rest.default_headers import ResponseHeaders
from itemsapi.settings import ENV_PREFIX, Settings, SettingsError
from itemsapi.web_addresses import UNKNOWN_ADDRESS, address_behind_proxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


# Correct the client address and the path of a request that passed reverse proxies.
#
# The only proxy header that is used is `X-Forwarded-For` (`address_behind_proxies`). Scheme, host
# and path come from `PUBLIC_URL`, so `X-Forwarded-Proto`, `-Host`, `-Prefix` and `Forwarded`
# (RFC 7239) are ignored: if a proxy does not overwrite them, the client controls them.

# The public path follows these names (RFC 8414 section 3.1, RFC 9728 section 3.1).
WELL_KNOWN = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
)


def _is_health_check(environ: "WSGIEnvironment") -> bool:
    path: str = environ.get("PATH_INFO", "")
    return path.endswith(("/health/live", "/health/ready"))


class Proxies:
    """The reverse proxies between clients and this service."""

    def __init__(self, public_url: str, hops: int) -> None:
        """Take the public URL and the number of proxies that add to `X-Forwarded-For`."""
        url = urlsplit(public_url)
        self._https, self._path = url.scheme == "https", url.path
        self._well_known = {f"{name}{self._path}": name for name in WELL_KNOWN}
        self._hops = hops
        self._warned = False

    def correct(self, environ: "WSGIEnvironment") -> None:
        """Set the client address, the scheme and the path in the WSGI environment."""
        environ["REMOTE_ADDR"] = self._client_address(environ)
        if self._https:
            environ["wsgi.url_scheme"] = "https"
        if self._path:
            self._strip_public_path(environ)

    def _client_address(self, environ: "WSGIEnvironment") -> str:
        """Return the client's address, or `UNKNOWN_ADDRESS` if the request passed too few proxies.

        Log it once only, because a client can cause it. Health checks come from beside the process.
        """
        peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
        address = address_behind_proxies(peer, forwarded, self._hops)
        unknown = self._hops and address == UNKNOWN_ADDRESS
        if unknown and not self._warned and not _is_health_check(environ):
            self._warned = True
            log.warning("client_address_unknown", trusted_proxies=self._hops, request_id="-")
        return address

    def _strip_public_path(self, environ: "WSGIEnvironment") -> None:
        """Move the public path from `PATH_INFO` to `SCRIPT_NAME`, or add it there (PEP 3333).

        The result is the same whether the proxy removed the path or not.
        """
        path = environ.get("PATH_INFO", "")
        mounted = environ.get("SCRIPT_NAME") == self._path
        if not mounted and f"{path}/".startswith(f"{self._path}/"):
            environ["PATH_INFO"] = path.removeprefix(self._path)
        else:
            environ["PATH_INFO"] = self._well_known.get(path, path)
        environ["SCRIPT_NAME"] = self._path


def require_unambiguous_path(settings: Settings, addresses: Iterable[str]) -> None:
    """Raise `SettingsError` if the public path is the start of one of this service's own paths.

    Then it would be ambiguous whether a proxy removed it: with the public path `/auth`, is
    `/auth/login` the sign-in, or the path `/login`?
    """
    path = urlsplit(settings.public_url).path
    if path and any(f"{address}/".startswith(f"{path}/") for address in addresses):
        reason = f"ends with {path}, where this service has paths of its own"
        raise SettingsError(f"{ENV_PREFIX}PUBLIC_URL {reason}; publish it under another path")


MAX_FIELD_BYTES = 8 * 1024
MAX_HEADERS_BYTES = 32 * 1024


def _check_size(environ: "WSGIEnvironment") -> None:
    """Raise `HeadersTooLarge` if one header field, or all together, exceed the limit."""
    total = 0
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            size = len(value)
            total += size
            if size > MAX_FIELD_BYTES or total > MAX_HEADERS_BYTES:
                raise HeadersTooLarge(f"A header field may have at most {MAX_FIELD_BYTES} bytes.")


HeaderList = list[tuple[str, str]]
# The key of a problem that the server found before the request reached Flask.
SERVER_PROBLEM = "itemsapi.server_problem"


class Middleware:
    """A WSGI application around the application."""

    def __init__(
        self,
        inner: "WSGIApplication",
        base: str,
        proxies: Proxies,
        headers: ResponseHeaders,
        *,
        access_log: bool = False,
    ) -> None:
        """Wrap `inner`; `base` is the page that explains problems.

        `access_log`: log the responses that do not come from Flask, which logs its own.
        """
        self.inner = inner
        self.base = base
        self.proxies = proxies
        self.headers = headers
        self.access_log = access_log

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Handle the request; reject oversized headers before the application sees them."""
        self.proxies.correct(environ)
        context = read_request_context(environ)
        token = set_request_context(context)
        started = False

        def start(status: str, headers: HeaderList, *exc_info: Any) -> Any:
            """Start the response with the default headers."""
            nonlocal started
            # With exc_info a server replaces headers that it has not sent yet (PEP 3333).
            exception = exc_info or ((sys.exc_info(),) if started else ())
            started = True
            if status.startswith("5") and not context.failure_logged:
                log_failure("unavailable", f"endpoint: its view returned status {status[:3]}")
            added = self.headers.added(environ, headers, context.request_id)
            return start_response(status, [*headers, *added], *exception)

        try:
            return _reset_context_on_close(self._respond(environ, start), token, environ)
        except BaseException:
            reset_request_context(token)
            raise

    def _respond(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        try:
            self._check(environ)
            return self.inner(environ, start)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - nothing else handles it
            return self._send_problem(error_handlers.to_problem(error), environ, start)

    def _check(self, environ: "WSGIEnvironment") -> None:
        """Raise the problem that the server found, or `HeadersTooLarge`."""
        if SERVER_PROBLEM in environ:
            raise environ[SERVER_PROBLEM]
        _check_size(environ)

    def _send_problem(
        self, problem: Problem, environ: "WSGIEnvironment", start: "StartResponse"
    ) -> Iterable[bytes]:
        error_handlers.log_problem(problem)
        if self.access_log:
            log_response(environ["REQUEST_METHOD"], HIDDEN_PATH, problem.status)
        body = error_handlers.problem_body(problem, self.base)
        headers = [*problem.headers().items(), ("Content-Type", error_handlers.PROBLEM_JSON)]
        headers.append(("Content-Length", str(len(body))))
        start(f"{problem.status} {HTTPStatus(problem.status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class _ResponseBody:
    """The body of a response; it resets the request context when the server closes it."""

    def __init__(self, body: Iterable[bytes], token: Token[RequestContext]) -> None:
        self._body, self._token = body, token

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Close the body, then reset the context."""
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            reset_request_context(self._token)


def _reset_context_on_close(
    body: Iterable[bytes], token: Token[RequestContext], environ: "WSGIEnvironment"
) -> Iterable[bytes]:
    """Return a body that resets the request context when the server closes it.

    For a list or a file, reset the context at once and return the body unchanged, because servers
    handle these types in a special way.
    """
    file = environ.get("wsgi.file_wrapper")
    if isinstance(body, list) or (isinstance(file, type) and isinstance(body, file)):
        reset_request_context(token)
        return body
    return _ResponseBody(body, token)
