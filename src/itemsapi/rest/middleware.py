"""The WSGI middleware around the application.

It corrects the client address and the path of a request (`rest.proxies`), sets the request context,
adds the default and CORS headers to each response, and handles the exceptions that Flask does not
(S-197): Flask propagates a `BaseException` such as a library's `sys.exit()`, and whatever a
teardown function raises after the response was built. Both become a 500 here. Only
`KeyboardInterrupt` is propagated, so that a developer can stop the server with Ctrl-C.

After the response is sent, the request context is reset, because the thread is reused.
"""

# ruff: noqa: ANN401 - PEP 3333 passes exc_info and the writer untyped

import sys
from collections.abc import Iterable, Iterator
from contextvars import Token
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from itemsapi.observability.context import (
    RequestContext,
    reset_request_context,
    set_request_context,
)
from itemsapi.observability.logging import log_failure
from itemsapi.problems import Problem
from itemsapi.rest import error_handlers
from itemsapi.rest.cors import Cors
from itemsapi.rest.default_headers import check_size, default_headers, read_request_context
from itemsapi.rest.proxies import Proxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HeaderList = list[tuple[str, str]]
SERVER_PROBLEM = (
    "itemsapi.server_problem"  # a problem that the server found before the request reached Flask
)


class Middleware:
    """A WSGI application around the application."""

    def __init__(
        self, inner: "WSGIApplication", base: str, proxies: Proxies, cors: Cors, *, tls: bool
    ) -> None:
        """Wrap `inner`; `base` is the page that explains problems; `tls` adds HSTS always."""
        self.inner = inner
        self.base = base
        self.proxies = proxies
        self.cors = cors
        self.tls = tls

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Handle the request; reject oversized headers before the application sees them."""
        self.proxies.correct(environ)
        context = read_request_context(environ)
        token = set_request_context(context)
        started = False

        def start(status: str, headers: HeaderList, *exc_info: Any) -> Any:
            nonlocal started
            # With exc_info a server replaces headers that it has not sent yet (PEP 3333).
            exception = exc_info or ((sys.exc_info(),) if started else ())
            started = True
            if status.startswith("5") and not context.failure_logged:
                log_failure("unavailable", f"endpoint: it answered {status[:3]} by itself")
            added = self._added_headers(environ, headers, context.request_id)
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
        check_size(environ)

    def _added_headers(
        self, environ: "WSGIEnvironment", headers: HeaderList, request_id: str
    ) -> Iterator[tuple[str, str]]:
        path = "/" + environ.get("PATH_INFO", "").lstrip("/")  # as Werkzeug routes it
        tls = self.tls or environ["wsgi.url_scheme"] == "https"
        yield from default_headers(headers, path, request_id, tls=tls)
        if origin := environ.get("HTTP_ORIGIN"):
            asks_for_method = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            preflight = asks_for_method and environ["REQUEST_METHOD"] == "OPTIONS"
            yield from self.cors.headers(origin=origin, path=path, preflight=preflight)

    def _send_problem(
        self, problem: Problem, environ: "WSGIEnvironment", start: "StartResponse"
    ) -> Iterable[bytes]:
        error_handlers.log_problem(problem)
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
