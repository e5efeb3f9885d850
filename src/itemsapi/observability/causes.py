"""Error causes: why something failed, in one line that is safe to log.

Messages of database drivers contain values of rows: in later lines, and in the first line too if a
value was invalid (SQLSTATE class 22). Database URLs may contain passwords (S-150).
"""

import re
import traceback
from collections.abc import Iterator

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
