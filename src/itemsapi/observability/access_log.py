"""The access log: one line for each response, if `ITEMSAPI_ACCESS_LOG` is on.

It has no header, no query string and no body, so no credential. The path is the template of the
route, such as `/items/<id:item_id>`: what is in its variables may be secret too, such as the token
of a one-time link. Only a path that matches no route is written as the client sent it, shortened;
it is `-` where the route matches but for its method or a slash, or was not looked for.
"""

import time
from typing import Final

from itemsapi.observability.context import request_context
from itemsapi.observability.logging import access_log

MAX_PATH_LENGTH: Final = 200  # characters of a path that matches no route
MAX_METHOD_LENGTH: Final = 16  # a client may send any word
HIDDEN_PATH: Final = "-"  # a route may have it, and a variable of the route may be secret


def log_response(method: str, path: str, status: int, caller_id: str | None = None) -> None:
    """Write the line of a response. `caller_id` is the id of the user or machine, if any."""
    context = request_context()
    access_log.info(
        "request",
        method=method[:MAX_METHOD_LENGTH],
        path=path,
        status=status,
        duration_ms=round((time.perf_counter() - context.started) * 1000, 1),
        caller_id=caller_id,
        address=context.address,
    )


def unrouted(path: str) -> str:
    """Return a path that matches no route, as it is logged."""
    return path[:MAX_PATH_LENGTH]
