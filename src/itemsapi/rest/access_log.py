"""Connect the access log to a Flask application: its signals say when a request starts and ends.

A signal changes nothing of the application, and covers the refusals of the gate. The middleware and
the server log what they answer without Flask.
"""

from flask import Flask, Request, Response, request, request_finished, request_started
from werkzeug.exceptions import NotFound

from itemsapi.gate.caller import optional_caller
from itemsapi.observability.access_log import HIDDEN_PATH, log_response, unrouted
from itemsapi.observability.context import request_context


def connect_access_log(app: Flask) -> None:
    """Log each response of `app` from now on."""
    request_started.connect(_start, sender=app)
    request_finished.connect(_finish, sender=app)


def _start(_: Flask, **__: object) -> None:
    """Start the duration: on an application of somebody else nothing else has done so."""
    request_context()


def _finish(_: Flask, response: Response, **__: object) -> None:
    caller = optional_caller()
    caller_id = caller.user_id if caller else None
    log_response(request.method, _path_of(request), response.status_code, caller_id)


def _path_of(request: Request) -> str:
    if request.url_rule:
        return request.url_rule.rule
    is_unknown = isinstance(request.routing_exception, NotFound)
    return unrouted(request.path) if is_unknown else HIDDEN_PATH
