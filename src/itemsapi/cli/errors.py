"""Failures in words: what an operator can put right, as one line."""

from alembic.util import CommandError

from itemsapi.db import SchemaOutdated
from itemsapi.db.ownership import SchemaRefused
from itemsapi.gate.rulebook import UnguardedRoute
from itemsapi.problems import DatabaseUnavailable, Problem
from itemsapi.server.listening import CannotListen
from itemsapi.settings import SettingsError
from itemsapi.tokens.key_store import KeyUnknown, RotationTooEarly

_SAID = (
    CannotListen,
    SettingsError,
    SchemaOutdated,
    SchemaRefused,
    UnguardedRoute,
    CommandError,
    RotationTooEarly,
    KeyUnknown,
)


def in_words(error: BaseException) -> str | None:
    """Return the line that tells an operator what is wrong, or None for what is our own fault."""
    if isinstance(error, DatabaseUnavailable):
        return f"the database cannot be used: {error.cause.removeprefix('database: ')}"
    if isinstance(error, Problem):
        return _problem(error)
    if isinstance(error, _SAID):
        return _first_line(error)
    if isinstance(error, UnicodeDecodeError):
        return "standard input is not UTF-8"
    if isinstance(error, OSError):
        return f"{error.filename or 'input'}: {error.strerror or error}"
    return None


def _problem(error: Problem) -> str:
    return "; ".join(one["message"] for one in error.errors or ()) or error.detail


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
