"""Log lines for operators: one JSON object each, on standard error.

The logger has its own processors. It neither uses nor changes the structlog configuration of the
host application.
"""

import logging
import sys
from contextlib import suppress

import structlog

from itemsapi.observability.causes import format_error_traceback, summarize_error
from itemsapi.observability.context import request_context


class _LevelFilter:
    """A processor that drops events below a level, which may be changed at run time."""

    def __init__(self, level: int) -> None:
        self.level = level

    def __call__(
        self, _logger: object, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        if logging.getLevelNamesMapping()[method.upper()] < self.level:
            raise structlog.DropEvent
        return event


class _StandardError:
    """Write lines to standard error; a line that cannot be written fails no request (S-152)."""

    def msg(self, line: str) -> None:
        """Write one line and flush it, so that lines of several threads do not mix."""
        with suppress(OSError, ValueError):  # a full disk, a closed pipe
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = fatal = msg


def _with_request_id(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    event.setdefault("request_id", request_context().request_id)
    return event


def _format_exception(exc_info: structlog.typing.ExcInfo) -> str:
    return format_error_traceback(exc_info[1])


_level_filter = _LevelFilter(logging.INFO)

# JSON, so that no value can forge a line break or an escape sequence (S-151).
log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
    _StandardError(),
    processors=[
        _level_filter,
        _with_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_format_exception),
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    context_class=dict,
    cache_logger_on_first_use=False,
)


def set_log_level(*, level: int = logging.INFO) -> None:
    """Drop log lines below `level`."""
    _level_filter.level = level


def log_failure(kind: str, cause: str, error: BaseException | None = None) -> None:
    """Log why a request gets a 503 or 500: one line with its id and the cause (R-35).

    `error` is an unexpected exception; its traceback is added. An error of the log itself must not
    prevent the response (S-152).
    """
    request_context().failure_logged = True
    with suppress(Exception):
        if error is None:
            log.warning(kind, cause=cause)
        else:
            log.error(kind, cause=cause or summarize_error(error), exc_info=error)
