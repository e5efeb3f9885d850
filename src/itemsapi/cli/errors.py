"""Error messages for operators: one line for each error that an operator can fix."""

from alembic.util import CommandError

from itemsapi.cli.confirmation import NotConfirmed
from itemsapi.db import MigrationFailed, SchemaOutdated
from itemsapi.db.backup_file import BackupFailed
from itemsapi.db.ownership import SchemaConflict
from itemsapi.db.table_copy import CopyFailed
from itemsapi.gate.rulebook import RulesInvalid
from itemsapi.problems import DatabaseUnavailable, Problem
from itemsapi.rest.api import DocumentInvalid
from itemsapi.server.listening import CannotListen
from itemsapi.settings import SettingsError
from itemsapi.tokens.key_store import (
    KeyUnknown,
    NoSecretInUse,
    RotationTooEarly,
    SecretInUse,
)

_EXPECTED_ERRORS = (
    CannotListen,
    SettingsError,
    SchemaOutdated,
    SchemaConflict,
    MigrationFailed,
    BackupFailed,
    CopyFailed,
    RulesInvalid,
    DocumentInvalid,
    CommandError,
    RotationTooEarly,
    KeyUnknown,
    SecretInUse,
    NoSecretInUse,
    NotConfirmed,
)


def error_lines(error: BaseException) -> list[str] | None:
    """Return the lines that show an error, None for an unexpected one.

    It is one line; only several faults of access rules are a list.
    """
    if isinstance(error, RulesInvalid) and len(faults := str(error).splitlines()) > 1:
        return [f"{len(faults)} faults in the access rules:", *(f"  {fault}" for fault in faults)]
    line = error_line(error)
    return None if line is None else [line]


def error_line(error: BaseException) -> str | None:
    """Return a one-line message for an error an operator can fix, None for an unexpected error."""
    if isinstance(error, DatabaseUnavailable):
        return f"the database cannot be used: {error.cause.removeprefix('database: ')}"
    if isinstance(error, Problem):
        return _problem(error)
    if isinstance(error, _EXPECTED_ERRORS):
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
