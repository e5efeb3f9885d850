"""Log lines for operators, by the standard library's logging.

`log` writes to the logger `itemsapi`, `audit_log` to its child `itemsapi.audit`, and `access_log`,
a line for each request, to `itemsapi.access`. A record has a message in one line (`worker_died
exit_code=9 pid=7`) and, for formatters of the host's own, the attributes `event` and `fields`. On a
host application nothing is configured: records go to the handlers of the host. The service
(`create_app`) and the commands write lines to standard error (`write_log_lines`): JSON in
production, text in development. Causes of errors are written so that they reveal no values of rows.
"""

import json
import logging
import re
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from itemsapi.control_characters import escape_control_characters
from itemsapi.observability.context import request_context

LOGGER: Final = logging.getLogger("itemsapi")
_BARE_VALUE = re.compile(r"[\w.:/@+-]+", re.ASCII)  # needs no quotes in a message
_NO_NAME = re.compile(r"\W", re.ASCII)  # what a field's name has not in a message


class FieldLogger:
    """Writes an event and its fields to a logger. It raises nothing: no request fails (S-152)."""

    def __init__(self, logger: logging.Logger) -> None:
        """Take the logger of the standard library."""
        self._logger = logger

    def info(self, event: str, /, **fields: object) -> None:
        """Log an event in the normal course of the service."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Log an event that an operator may have to look at."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, *, error: BaseException | None = None, **fields: object) -> None:
        """Log a failure; add the traceback of `error`, without the values that it may contain."""
        self._write(logging.ERROR, event, fields, error)

    def log(self, level: int, event: str, /, **fields: object) -> None:
        """Log an event at a level of the standard library."""
        self._write(level, event, fields)

    def _write(
        self, level: int, event: str, fields: dict[str, object], error: BaseException | None = None
    ) -> None:
        if self._logger.isEnabledFor(level):
            with suppress(Exception):  # a handler of the host may raise
                self._logger.handle(self._record(level, event, fields, error))

    def _record(
        self, level: int, event: str, fields: dict[str, object], error: BaseException | None
    ) -> logging.LogRecord:
        fields = {"request_id": request_context().request_id, **fields}
        path, line, function, _ = self._logger.findCaller(stacklevel=4)
        values = {_NO_NAME.sub("_", name): _one_word(value) for name, value in fields.items()}
        message = "".join([event, *(f" {name}=%({name})s" for name in values)])
        record = self._logger.makeRecord(
            self._logger.name, level, path, line, message, (values,), None, function,
            extra={"event": event, "fields": fields},
        )  # fmt: skip
        # Instead of `exc_info`: a formatter would write the raw messages, with values of rows.
        record.exc_text = format_error_traceback(error) if error else None
        return record


def _one_word(value: object) -> str:
    """Return a value in ASCII, quoted unless it is one word: it cannot forge a line (S-151)."""
    text = value if isinstance(value, str) else str(value)
    return text if _BARE_VALUE.fullmatch(text) else json.dumps(text)


log: Final = FieldLogger(LOGGER)
audit_log: Final = FieldLogger(LOGGER.getChild("audit"))
access_log: Final = FieldLogger(LOGGER.getChild("access"))


class JsonLineFormatter(logging.Formatter):
    """Formats any record as one JSON object in ASCII: no value can forge a line (S-151)."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, of `log` or of anybody else."""
        fields: dict[str, object] = getattr(record, "fields", {})
        line: dict[str, Any] = {
            "event": getattr(record, "event", None) or record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat()[:-6] + "Z",
            "request_id": fields.get("request_id", request_context().request_id),
        }
        line = line | fields | line
        if text := _exception(record):
            line["exception"] = text
        return json.dumps(line, default=str)


class TextLineFormatter(logging.Formatter):
    """Formats any record as one line for people, in ASCII but for tracebacks (S-151).

    The time is that of the machine. Fields without a value are left out; the request id is last.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, and below it the traceback if it has one."""
        fields: dict[str, object] = dict(getattr(record, "fields", {}))
        fields["request_id"] = fields.pop("request_id", "-")
        words = [
            f"{_NO_NAME.sub('_', name)}={_one_word(value)}"
            for name, value in fields.items()
            if value is not None and value != "-"
        ]
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        event = escape_control_characters(getattr(record, "event", None) or record.getMessage())
        line = " ".join([time, record.levelname.lower().ljust(7), event, *words])
        return "\n".join(filter(None, [line, _exception(record)]))


def _exception(record: logging.LogRecord) -> str | None:
    error = record.exc_info[1] if record.exc_info else None
    return format_error_traceback(error) if error else record.exc_text


class StandardErrorHandler(logging.Handler):
    """Writes lines to standard error; a line that cannot be written fails no request (S-152)."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line and flush it, so that lines of several threads do not mix."""
        with suppress(Exception):  # a full disk, a closed pipe, arguments that do not fit
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()


def write_log_lines(*, as_json: bool) -> None:
    """Write the log of this process to standard error, unless it has handlers already.

    As JSON for programs, or as text for people. The level stays if one is set; otherwise it becomes
    INFO.
    """
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.INFO)
    if not LOGGER.handlers:
        handler = StandardErrorHandler()
        handler.setFormatter(JsonLineFormatter() if as_json else TextLineFormatter())
        LOGGER.addHandler(handler)
        LOGGER.propagate = False  # otherwise a handler of the root logger repeats each line


def set_log_level(*, level: int = logging.INFO) -> None:
    """Drop log lines below `level`."""
    LOGGER.setLevel(level)


def log_failure(kind: str, cause: str, error: BaseException | None = None) -> None:
    """Log why a request gets a 503 or 500: one line with its id and the cause (R-35).

    `error` is an unexpected exception; its traceback is added.
    """
    request_context().failure_logged = True
    if error is None:
        log.warning(kind, cause=cause)
    else:
        log.error(kind, cause=cause or summarize_error(error), error=error)


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
    own = error if isinstance(error, sqlite3.Error) else None
    driver_error = getattr(error, "orig", own)  # SQLAlchemy wraps the driver's error
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
        "".join(traceback.format_tb(cause.__traceback__))
        + escape_control_characters(summarize_error(cause))
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
