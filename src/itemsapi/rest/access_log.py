"""Connect the access log to a Flask application: its signals say when a request starts and ends.

A signal changes nothing of the application, and covers the refusals of the gate. The middleware and
the server log what they answer without Flask.
"""

from flask import Flask, Response, request, request_finished, request_started

from itemsapi.gate.caller import optional_caller
from itemsapi.observability.access_log import log_response, unrouted
from itemsapi.observability.context import request_context


def connect_access_log(app: Flask) -> None:
    """Log each response of `app` from now on."""
    request_started.connect(_start, sender=app)
    request_finished.connect(_finish, sender=app)


def _start(_: Flask, **__: object) -> None:
    """Start the duration: on an application of somebody else nothing else has done so."""
    request_context()


def _finish(_: Flask, response: Response, **__: object) -> None:
    route, caller = request.url_rule, optional_caller()
    log_response(
        request.method,
        route.rule if route else unrouted(request.path),
        response.status_code,
        caller.user_id if caller else None,
    )
