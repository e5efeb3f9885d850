"""OPTIONS: answered at the gate, so that it runs neither a hook nor a handler.

A receiver of a signal cannot return an answer, it can only raise. So the answer is raised: Flask
returns an HTTP exception without a code as it is and asks no error handler.
"""

from typing import cast

from flask import Flask, Response, after_this_request, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter


class Answered(HTTPException):
    """The request has its answer already."""

    def __init__(self, answer: Response) -> None:
        """Carry the answer."""
        super().__init__(response=answer)
        self.answer = answer


def install(app: Flask) -> None:
    """Have answers returned under `TRAP_HTTP_EXCEPTIONS` too, which asks error handlers.

    Those of a blueprint come first, and may take every exception; so each gets one for ours.
    """
    for name in (None, *app.blueprints):
        app.error_handler_spec[name][None][Answered] = lambda answered: answered.answer


def preflight() -> bool:
    """Tell whether a browser asks first; after a 404 here no page could read the real one."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def answer() -> Answered:
    """Say which methods the address takes; what a preflight asks beside that, `rest.cors` adds."""
    adapter = cast("MapAdapter", current_app.create_url_adapter(request))
    allow = ", ".join(adapter.allowed_methods()) or "OPTIONS"
    after_this_request(_untyped)
    return Answered(Response(status=204, headers={"Allow": allow}))


def _untyped(response: Response) -> Response:
    """Take away the media type that Flask gives to what it copies: a 204 has no body."""
    del response.headers["Content-Type"]
    return response
