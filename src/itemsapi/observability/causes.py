"""Causes: why something failed, in a line that may stand in a log.

What drivers say holds values of rows in its later lines, and in the first where a value was no good
(SQLSTATE class 22); addresses of databases may hold passwords (S-150).
"""

import re
import traceback
from collections.abc import Iterator

MAX_SUMMARY_LENGTH = 300  # characters of a line
MAX_CAUSES = 8  # causes of causes that are told

_SECRET = re.compile(
    r"""(?ix) \b (\w+://) \S+  # an address may hold a password
    | ( \b bearer \s+ ) \S+
    | ( [\w-]* (?:password|passwd|secret|token|_key) \w* ["']? \s* [=:] \s* )
      (?: "[^"]*" | '[^']*' | \S+ )"""
)
_VALUES = "22"  # SQLSTATE class of data exceptions


def summarize_error(error: BaseException) -> str:
    """Return what went wrong: the driver's words where a driver raised it, without the statement.

    Other errors begin with their type.
    """
    driven = getattr(error, "orig", None)  # SQLAlchemy wraps the driver's error
    fault = driven if isinstance(driven, BaseException) else error
    name = type(fault).__name__
    if str(getattr(fault, "sqlstate", None) or "").startswith(_VALUES):
        return name
    words = _first_line(str(fault))
    if driven is None:
        words = f"{name}: {words}" if words else name
    return _SECRET.sub(r"\1\2\3***", words or name)[:MAX_SUMMARY_LENGTH]


def format_error_traceback(error: BaseException) -> str:
    """Return where an error came from, and what it and its causes say, each in a line."""
    return "\n".join(
        f"{''.join(traceback.format_tb(one.__traceback__))}{summarize_error(one)}"
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen and len(seen) < MAX_CAUSES:
        seen.add(id(error))
        yield error
        hidden = error.__cause__ is not None or error.__suppress_context__
        error = error.__cause__ if hidden else error.__context__


def _first_line(text: str) -> str:
    """Return the first line, and the one that it announces by a colon at its end."""
    lines = [line.strip() for line in text.strip().splitlines()] or [""]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
