"""The edge: what wraps the whole application, so that every answer is well-formed and dressed.

It puts a request's address and path right (`rest.proxies`), gives each its id, puts the common
headers on each answer, and is the last resort (S-197): Flask hands on what is no `Exception` (a
library's `sys.exit()`), and what a teardown raises after the answer was made; both end as a 500
here. Only Ctrl-C is let through, so that a developer can stop the server.
"""

# ruff: noqa: ANN401 - PEP 3333 hands exc_info and the writer on untyped

import sys
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from itemsapi.problems import Problem
from itemsapi.rest import answers
from itemsapi.rest.cors import Cors
from itemsapi.rest.headers import check_size, dressing, open_request
from itemsapi.rest.proxies import Proxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HeaderList = list[tuple[str, str]]
REFUSED = "itemsapi.refused"  # the problem that the server found before anybody saw the request


class Edge:
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
        request_id = open_request(environ)
        started = False

        def start(status: str, headers: HeaderList, *exc_info: Any) -> Any:
            nonlocal started
            # With exc_info a server drops headers that it was given and did not send (PEP 3333).
            given = exc_info or ((sys.exc_info(),) if started else ())
            started = True
            dressed = [*headers, *self._dressing(environ, headers, request_id)]
            return start_response(status, dressed, *given)

        try:
            self._check(environ)
            return self.inner(environ, start)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - it is the last resort
            return self._refuse(answers.problem_of(error), environ, start)

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
        yield from dressing(headers, path, request_id, tls=tls)
        if origin := environ.get("HTTP_ORIGIN"):
            asks = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            preflight = asks and environ["REQUEST_METHOD"] == "OPTIONS"
            yield from self.cors.headers(origin=origin, path=path, preflight=preflight)

    def _refuse(
        self, problem: Problem, environ: "WSGIEnvironment", start: "StartResponse"
    ) -> Iterable[bytes]:
        body = answers.body(problem, self.base)
        headers = [*problem.headers().items(), ("Content-Type", answers.PROBLEM_JSON)]
        headers.append(("Content-Length", str(len(body))))
        start(f"{problem.status} {HTTPStatus(problem.status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
