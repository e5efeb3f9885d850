"""The request context: request id, client address and user agent of the work in progress.

It is a context variable, so that log lines and audit events get these values without a parameter.
"""

import time
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, field


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


def request_context() -> RequestContext:
    """Return the context of the work in progress."""
    return _context.get()


def set_request_context(value: RequestContext) -> Token[RequestContext]:
    """Set the context; return the token for `reset_request_context`."""
    return _context.set(value)


def reset_request_context(token: Token[RequestContext]) -> None:
    """Restore the previous context: further work of this thread belongs to other requests."""
    with suppress(ValueError):  # a server may close a response in another context
        _context.reset(token)
