"""What operators see: where a request comes from, and log lines of one JSON object each.

The request id, the client's address and its user agent live in a context variable, so that log
lines and audit events carry them without anybody passing them along.
"""

import logging
import sys
import time
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, field

import structlog

from itemsapi.observability.causes import format_error_traceback, summarize_error


@dataclass(slots=True)
class RequestContext:
    """Where the work at hand comes from: a request, or the command line.

    `told` says that the log knows already why this request is answered with a 5xx.
    """

    request_id: str = "-"
    address: str = "-"
    user_agent: str = ""
    started: float = field(default_factory=time.perf_counter)
    failure_logged: bool = False


_NO_REQUEST = RequestContext()
_context: ContextVar[RequestContext] = ContextVar("itemsapi_origin", default=_NO_REQUEST)


def request_context() -> RequestContext:
    """Return where the work at hand comes from."""
    return _context.get()


def set_request_context(value: RequestContext) -> Token[RequestContext]:
    """Note where the work at hand comes from; return what takes the note back."""
    return _context.set(value)


def reset_request_context(token: Token[RequestContext]) -> None:
    """Take the note back: what this thread does next is not that request's work."""
    with suppress(ValueError):  # a server may close an answer in another context than it began in
        _context.reset(token)


def _with_request_id(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    event.setdefault("request_id", _context.get().request_id)
    return event


def _places(exc_info: structlog.typing.ExcInfo) -> str:
    return format_error_traceback(exc_info[1])


class _StandardError:
    """Writes lines to standard error; one that cannot be written fails no request (S-152)."""

    def __init__(self, *_: object) -> None:
        """Take the name of the logger; no line needs it."""

    def msg(self, line: str) -> None:
        """Write one line at once, so that lines of threads do not mix."""
        with suppress(OSError, ValueError):  # a full disk, a closed pipe
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = fatal = msg


def set_log_level(*, level: int = logging.INFO) -> None:
    """Write log lines to standard error as JSON: no line break or escape can be forged (S-151)."""
    structlog.configure(
        processors=[
            _with_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_places),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )


log: structlog.typing.FilteringBoundLogger = structlog.get_logger("itemsapi")


def log_failure(kind: str, cause: str, error: BaseException | None = None) -> None:
    """Log why a request is answered 503 or 500: one line with its id and the cause (R-35).

    `error` is what nobody expected; its places are added. A log that is full or gone must not cost
    the answer (S-152).
    """
    request_context().failure_logged = True
    with suppress(Exception):
        if error is None:
            log.warning(kind, cause=cause)
        else:
            log.error(kind, cause=cause or summarize_error(error), exc_info=error)
