"""Error messages for operators: one line for each error that an operator can fix."""

import sys

from itemsapi.operator_error import OperatorError
from itemsapi.problems import DatabaseUnavailable, Problem


def error_lines(error: BaseException) -> list[str] | None:
    """Return the lines that show an error, None for an unexpected one.

    It is one line; only several faults of access rules are a list.
    """
    heading = error.list_heading if isinstance(error, OperatorError) else ""
    if heading and len(faults := str(error).splitlines()) > 1:
        return [f"{len(faults)} {heading}:", *(f"  {fault}" for fault in faults)]
    line = error_line(error)
    return None if line is None else [line]


def error_line(error: BaseException) -> str | None:
    """Return a one-line message for an error an operator can fix, None for an unexpected error."""
    if isinstance(error, DatabaseUnavailable):
        return f"the database cannot be used: {error.cause.removeprefix('database: ')}"
    if isinstance(error, Problem):
        return _problem(error)
    if isinstance(error, OperatorError) or _is_of_alembic(error):
        return _first_line(error)
    if isinstance(error, UnicodeDecodeError):
        return "standard input is not UTF-8"
    if isinstance(error, OSError):
        return f"{error.filename or 'input'}: {error.strerror or error}"
    return None


def _problem(error: Problem) -> str:
    return "; ".join(field_error["message"] for field_error in error.errors or ()) or error.detail


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _is_of_alembic(error: BaseException) -> bool:
    """Return whether Alembic refuses a command; the error cannot be its if nobody imported it."""
    alembic = sys.modules.get("alembic.util")
    return alembic is not None and isinstance(error, alembic.CommandError)
