"""The gate before a WSGI application that is mounted beside Flask.

    REPORTS_READ = Scope("reports:read", "See the reports")

    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {
        "/reports": auth.wsgi_guard(reports, requires(REPORTS_READ)),
    })

A dispatcher calls the mounted application without Flask, so no check of the gate runs. The guard
runs the same checks for every request to it, by one rule, and then hands the request on.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from flask import Flask, Response
from flask.ctx import RequestContext
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wsgi import ClosingIterator

from itemsapi.gate.gate import Gate
from itemsapi.gate.responses import GateResponse, is_preflight
from itemsapi.gate.rules import Rule
from itemsapi.gate.without_gate import GATE

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CALLER = "itemsapi.caller"  # in the WSGI environment: the `Caller`, or None if the rule is public
SOCKET_PATH = "engineio_path"  # an attribute of the middleware of Flask-SocketIO
_INNER = ("app", "wsgi_app", "application", "inner")  # where a middleware keeps what it wraps


class WsgiGuard:
    """A WSGI application that the gate of a Flask application stands before."""

    def __init__(
        self,
        app: Flask,
        gate: Gate,
        application: "WSGIApplication",
        rule: Rule,
        cors: "Callable[[WSGIEnvironment], Iterable[tuple[str, str]]]",
    ) -> None:
        """Take the mounted application, its rule, and the CORS headers of its responses.

        Raise `ValueError` for the rule of a refresh token: only our own endpoints read one.
        """
        if rule.accepts_refresh_token:
            raise ValueError("a mounted application takes access tokens; use @requires, @signed_in")
        if rule.on is not None:
            raise ValueError("on= checks the arguments of a view; a mounted application has none")
        self._app, self._gate, self._application = app, gate, application
        self.rule, self._cors = rule, cors

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Hand the request on if the gate admits it, with the caller in `environ`.

        A CORS preflight, which has no token, is answered here: no page of another origin is allowed
        unless it is one of the layer's origins (`whole_app=True`). HEAD and other OPTIONS need the
        rule too, because nobody knows what the application does with them.
        """
        start_response = _adding(start_response, list(self._cors(environ)))
        # Flask matches the path of a request, which here belongs to the other application.
        context = self._app.request_context({**environ, "PATH_INFO": "/"})
        try:
            with context:
                if is_preflight(context.request):
                    return Response(status=204)(environ, start_response)
                environ[CALLER] = self._gate.admit(self._app, self.rule)
                admitted = _after_request(context)
                if "wsgi.input" in environ:  # the gate may have read a signed body
                    environ["wsgi.input"] = context.request.environ["wsgi.input"]
        except GateResponse as refusal:
            return refusal.gate_response(environ, start_response)
        return ClosingIterator(self._application(environ, start_response), admitted.close)


def _adding(start_response: "StartResponse", cors: list[tuple[str, str]]) -> "StartResponse":
    """Return a `start_response` that adds CORS headers to a response that has none."""

    def start(
        status: str,
        headers: list[tuple[str, str]],
        exc_info: "OptExcInfo | None" = None,
        /,
    ) -> Callable[[bytes], object]:
        """Begin the response."""
        has_cors = any(name.lower() == "access-control-allow-origin" for name, _ in headers)
        return start_response(status, headers if has_cors else headers + cors, exc_info)

    return start


def _after_request(context: RequestContext) -> Response:
    """Return a response that, when closed, does what the gate left for the end of the request.

    The response of the mounted application does not pass through Flask.
    """
    response = Response()
    for function in context._after_request_functions:  # noqa: SLF001 - Flask's own would run the host's hooks too
        response = Flask.ensure_sync(context.app, function)(response)
    return response


def mounted_applications(application: object) -> Iterator[tuple[str, str | None]]:
    """Yield what is served beside Flask by dispatchers and Socket.IO, as far as it can be seen.

    Each is a path, and the rule before the application; None if no gate is before it.
    """
    seen: list[object] = []
    while application is not None and not any(application is other for other in seen):
        seen.append(application)
        if isinstance(application, DispatcherMiddleware):
            for path, mounted in application.mounts.items():
                yield path, _gate_before(mounted)
        if sockets := getattr(application, SOCKET_PATH, None):
            yield str(sockets).rstrip("/"), None
        found = (getattr(application, name, None) for name in _INNER)
        application = next((inner for inner in found if callable(inner)), None)


def _gate_before(application: object) -> str | None:
    if isinstance(application, WsgiGuard):
        return str(application.rule)
    if isinstance(application, Flask) and GATE in application.extensions:
        return "a Flask application with a gate of its own"
    return None
