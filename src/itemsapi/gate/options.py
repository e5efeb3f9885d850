"""OPTIONS: the gate responds to it, so that neither a hook nor a handler runs.

A receiver of a signal cannot return a response, it can only raise. The response is therefore an
exception: Flask returns an HTTP exception without a code unchanged and calls no error handler.
"""

from typing import cast

from flask import Flask, Response, after_this_request, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter


class OptionsResponse(HTTPException):
    """The response to OPTIONS, raised by the gate."""

    def __init__(self, response: Response) -> None:
        """Take the response."""
        super().__init__(response=response)
        self.options_response = response


def install(app: Flask) -> None:
    """Register error handlers that return the response, needed with `TRAP_HTTP_EXCEPTIONS`.

    Handlers of a blueprint come first and may handle every exception, so each blueprint gets one.
    """
    for name in (None, *app.blueprints):
        app.error_handler_spec[name][None][OptionsResponse] = lambda error: error.options_response


def is_preflight() -> bool:
    """Tell whether this is a CORS preflight.

    A preflight must not fail with 404: then the page could not read the 404 of the real request.
    """
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def options_response() -> OptionsResponse:
    """Return the response that lists the allowed methods; `rest.cors` adds the CORS headers."""
    adapter = cast("MapAdapter", current_app.create_url_adapter(request))
    allow = ", ".join(adapter.allowed_methods()) or "OPTIONS"
    after_this_request(_without_content_type)
    return OptionsResponse(Response(status=204, headers={"Allow": allow}))


def _without_content_type(response: Response) -> Response:
    """Remove the media type that Flask adds when it copies the response: a 204 has no body."""
    del response.headers["Content-Type"]
    return response
