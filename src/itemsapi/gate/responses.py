"""Responses of the gate: to a rejected request, and to OPTIONS.

A receiver of a signal cannot return a response, it can only raise. The response is therefore an
exception: Flask returns an HTTP exception without a code unchanged and calls no error handler, so
no handler of the application changes it.
"""

from typing import cast

from flask import Flask, Request, Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from itemsapi.gate.routes import has_automatic_options


class GateResponse(HTTPException):
    """The response to a rejected request or to OPTIONS, raised by the gate."""

    def __init__(self, response: Response) -> None:
        """Take the response."""
        super().__init__(response=response)
        self.gate_response = response


def register_response_handlers(app: Flask) -> None:
    """Register error handlers that return the response, needed with `TRAP_HTTP_EXCEPTIONS`.

    Handlers of a blueprint come first and may handle every exception, so each blueprint gets one.
    """
    for name in (None, *app.blueprints):
        app.error_handler_spec[name][None][GateResponse] = lambda error: error.gate_response


def is_answered_by_flask(request: Request) -> bool:
    """Return whether Flask responds to this OPTIONS request itself, without running a view."""
    return request.method == "OPTIONS" and has_automatic_options(request.url_rule)


def is_preflight(request: Request) -> bool:
    """Return whether this is a CORS preflight.

    A preflight must not fail with 404: then the page could not read the 404 of the real request.
    """
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def options_response() -> GateResponse | None:
    """Return the response that lists the allowed methods; `rest` adds the CORS headers.

    None for a host that Flask refuses (`TRUSTED_HOSTS`): it has no methods, and Flask responds.
    """
    try:
        adapter = cast("MapAdapter", current_app.create_url_adapter(request))
    except HTTPException:
        return None
    allow = ", ".join(adapter.allowed_methods()) or "OPTIONS"
    return GateResponse(Response(status=204, headers={"Allow": allow}))
