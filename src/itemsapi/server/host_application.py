"""An application of somebody else behind our server: problems of the server are answered before it.

The application of `create_app` has a middleware that does this and more, which would change the
answers of another application.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from itemsapi.observability.access_log import HIDDEN_PATH, log_response
from itemsapi.rest.error_handlers import problem_response, to_problem
from itemsapi.rest.middleware import SERVER_PROBLEM, Middleware
from itemsapi.services import services_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def behind_server(app: Flask) -> "WSGIApplication":
    """Return the WSGI application that the server calls for `app`."""
    return app if isinstance(app.wsgi_app, Middleware) else HostApplication(app)


class HostApplication:
    """A Flask application, and the responses to requests that the server rejects."""

    def __init__(self, app: Flask) -> None:
        """Take the application."""
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Run the application, unless the server found a problem with the request."""
        error = environ.get(SERVER_PROBLEM)
        if error is None:
            return self._app(environ, start_response)
        with self._app.app_context():
            response = problem_response(to_problem(error))
        if services_of(self._app).settings.access_log:
            log_response(environ["REQUEST_METHOD"], HIDDEN_PATH, response.status_code)
        return response(environ, start_response)
