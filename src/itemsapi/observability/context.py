"""The request context: request id, client address and user agent of the work in progress.

It is a context variable, so that log lines and audit events get these values without a parameter.
"""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any

from itemsapi.clock import new_id

MAX_USER_AGENT_LENGTH = 200
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


@dataclass(slots=True)
class RequestContext:
    """Who asks: a client by HTTP, or the command line.

    `failure_logged`: the cause of this request's 5xx response has been logged.
    """

    request_id: str = "-"
    address: str = "-"
    user_agent: str = ""
    started: float = field(default_factory=time.perf_counter)
    failure_logged: bool = False


_NO_REQUEST = RequestContext()
_context: ContextVar[RequestContext] = ContextVar("itemsapi_request", default=_NO_REQUEST)


_fallback: list[Callable[[], RequestContext | None]] = []


def request_context() -> RequestContext:
    """Return the context of the work in progress."""
    context = _context.get()
    if context is _NO_REQUEST:
        return next(filter(None, (find() for find in _fallback)), context)
    return context


def set_fallback(find: Callable[[], RequestContext | None]) -> None:
    """Use `find` where no context was set: this module does not know Flask."""
    _fallback[:] = [find]


def set_request_context(value: RequestContext) -> Token[RequestContext]:
    """Set the context; return the token for `reset_request_context`."""
    return _context.set(value)


def reset_request_context(token: Token[RequestContext]) -> None:
    """Restore the previous context: further work of this thread belongs to other requests."""
    with suppress(ValueError):  # a server may close a response in another context
        _context.reset(token)


def read_request_context(environ: Mapping[str, Any]) -> RequestContext:
    """Return the context of a request; use the client's request id if it is well-formed."""
    client_id = environ.get("HTTP_X_REQUEST_ID", "")
    request_id = client_id if _REQUEST_ID.fullmatch(client_id) else new_id()
    agent = environ.get("HTTP_USER_AGENT", "")[:MAX_USER_AGENT_LENGTH]
    return RequestContext(
        request_id=request_id,
        address=environ.get("REMOTE_ADDR", ""),  # a socket of the file system has none
        user_agent=agent if agent.isprintable() else "".join(filter(str.isprintable, agent)),
    )
