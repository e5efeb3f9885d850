"""Streamed responses: log an error that ends one after its status was sent.

A view that returns `flask.Response(generator())` is streamed. The gate checks the request before
the view runs, so before the first byte. Then the status is sent, and an error in the generator can
only cut the response off: no error handler of Flask learns of it, so it is logged here.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from werkzeug.wrappers import Response

from itemsapi.observability.context import (
    RequestContext,
    request_context,
    reset_request_context,
    set_request_context,
)
from itemsapi.observability.logging import log_failure


def log_stream_failures(response: Response) -> None:
    """Log an error of the iterator of a streamed response; change nothing for other responses.

    Files (`send_file`) stay as they are: servers send them in a way of their own.
    """
    if not response.is_streamed or response.direct_passthrough:
        return
    parts: Iterable[Any] = response.response  # of str or bytes
    response.response = _logged(parts, request_context())
    if close := getattr(parts, "close", None):
        response.call_on_close(close)


def _logged(parts: Iterable[Any], context: RequestContext) -> Iterator[Any]:
    """Yield the parts; log an error in the context of the request, which has ended by then."""
    try:
        yield from parts
    except Exception as error:
        token = set_request_context(context)
        log_failure("stream_failed", "", error)
        reset_request_context(token)
        raise
