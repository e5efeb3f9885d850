"""Log lines for operators: one JSON object each, on standard error.

The logger has its own processors. It neither uses nor changes the structlog configuration of the
host application. Causes of errors are written so that they reveal no values of rows.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress

import structlog

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


# Error causes: why something failed, in one line that is safe to log.
#
# Messages of database drivers contain values of rows: in later lines, and in the first line too if
# a value was invalid (SQLSTATE class 22). Database URLs may contain passwords (S-150).

MAX_SUMMARY_LENGTH = 300  # characters
MAX_CAUSES = 8  # in a chain of exceptions

_SECRET = re.compile(
    r"""(?ix) \b (\w+://) \S+  # a URL may contain a password
    | ( \b bearer \s+ ) \S+
    | ( [\w-]* (?:password|passwd|secret|token|_key) \w* ["']? \s* [=:] \s* )
      (?: "[^"]*" | '[^']*' | \S+ )"""
)
_DATA_EXCEPTION = "22"  # SQLSTATE class


def summarize_error(error: BaseException) -> str:
    """Return the message of an error: a database driver's own message, without the statement.

    Other messages begin with the type of the error.
    """
    driver_error = getattr(error, "orig", None)  # SQLAlchemy wraps the driver's error
    original = driver_error if isinstance(driver_error, BaseException) else error
    name = type(original).__name__
    if str(getattr(original, "sqlstate", None) or "").startswith(_DATA_EXCEPTION):
        return name
    message = _first_line(str(original))
    if driver_error is None:
        message = f"{name}: {message}" if message else name
    return _SECRET.sub(r"\1\2\3***", message or name)[:MAX_SUMMARY_LENGTH]


def format_error_traceback(error: BaseException) -> str:
    """Return the tracebacks of an error and its causes, each with a one-line summary."""
    return "\n".join(
        f"{''.join(traceback.format_tb(cause.__traceback__))}{summarize_error(cause)}"
        for cause in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen and len(seen) < MAX_CAUSES:
        seen.add(id(error))
        yield error
        context_hidden = error.__cause__ is not None or error.__suppress_context__
        error = error.__cause__ if context_hidden else error.__context__


def _first_line(text: str) -> str:
    """Return the first line; add the second one if the first ends with a colon."""
    lines = [line.strip() for line in text.strip().splitlines()] or [""]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
