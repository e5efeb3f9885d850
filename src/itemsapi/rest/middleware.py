"""The edge: what wraps the whole application, so that every answer is well-formed and dressed.

It puts a request's address and path right (`rest.proxies`), gives each its id, puts the common
headers on each answer, and is the last resort (S-197): Flask hands on what is no `Exception` (a
library's `sys.exit()`), and what a teardown raises after the answer was made; both end as a 500
here. Only Ctrl-C is let through, so that a developer can stop the server.

When the answer is out, the thread forgets the request: what it does next is not this one's work.
"""

# ruff: noqa: ANN401 - PEP 3333 hands exc_info and the writer on untyped

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
from itemsapi.rest.default_headers import check_size, default_headers, origin_of
from itemsapi.rest.proxies import Proxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HeaderList = list[tuple[str, str]]
REFUSED = "itemsapi.refused"  # what the server found wrong, instead of having the request answered


class Middleware:
    """A WSGI application around the application."""

    def __init__(
        self, inner: "WSGIApplication", base: str, proxies: Proxies, cors: Cors, *, tls: bool
    ) -> None:
        """Wrap `inner`; problems are explained at `base`; with `tls` every answer carries HSTS."""
        self.inner = inner
        self.base = base
        self.proxies = proxies
        self.cors = cors
        self.tls = tls

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer the request; refuse oversized headers before anything else sees them."""
        self.proxies.correct(environ)
        origin = origin_of(environ)
        token = set_request_context(origin)
        started = False

        def start(status: str, headers: HeaderList, *exc_info: Any) -> Any:
            nonlocal started
            # With exc_info a server drops headers that it was given and did not send (PEP 3333).
            given = exc_info or ((sys.exc_info(),) if started else ())
            started = True
            if status.startswith("5") and not origin.failure_logged:
                log_failure("unavailable", f"endpoint: it answered {status[:3]} by itself")
            dressed = [*headers, *self._dressing(environ, headers, origin.request_id)]
            return start_response(status, dressed, *given)

        try:
            return _handed_on(self._answer(environ, start), token, environ)
        except BaseException:
            reset_request_context(token)
            raise

    def _answer(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        try:
            self._check(environ)
            return self.inner(environ, start)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - it is the last resort
            return self._refuse(error_handlers.problem_of(error), environ, start)

    def _check(self, environ: "WSGIEnvironment") -> None:
        """Raise what the server refused the request for, or `HeadersTooLarge`."""
        if REFUSED in environ:
            raise environ[REFUSED]
        check_size(environ)

    def _dressing(
        self, environ: "WSGIEnvironment", headers: HeaderList, request_id: str
    ) -> Iterator[tuple[str, str]]:
        path = "/" + environ.get("PATH_INFO", "").lstrip("/")  # as Werkzeug routes it
        tls = self.tls or environ["wsgi.url_scheme"] == "https"
        yield from default_headers(headers, path, request_id, tls=tls)
        if origin := environ.get("HTTP_ORIGIN"):
            asks = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            preflight = asks and environ["REQUEST_METHOD"] == "OPTIONS"
            yield from self.cors.headers(origin=origin, path=path, preflight=preflight)

    def _refuse(
        self, problem: Problem, environ: "WSGIEnvironment", start: "StartResponse"
    ) -> Iterable[bytes]:
        error_handlers.report(problem)
        body = error_handlers.body(problem, self.base)
        headers = [*problem.headers().items(), ("Content-Type", error_handlers.PROBLEM_JSON)]
        headers.append(("Content-Length", str(len(body))))
        start(f"{problem.status} {HTTPStatus(problem.status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class _Answer:
    """The body of an answer; when the server closes it, the thread forgets the request."""

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


def _handed_on(
    body: Iterable[bytes], token: Token[RequestContext], environ: "WSGIEnvironment"
) -> Iterable[bytes]:
    """Return the body as the server gets it.

    One that is finished, or is a file, is left as it is: servers treat these in their own way.
    """
    file = environ.get("wsgi.file_wrapper")
    if isinstance(body, list) or (isinstance(file, type) and isinstance(body, file)):
        reset_request_context(token)
        return body
    return _Answer(body, token)
