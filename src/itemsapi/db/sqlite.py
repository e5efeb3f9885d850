"""SQLite connections: file permissions, write-ahead log, locking and retries."""

import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, exc
from sqlalchemy.engine import ExceptionContext

from itemsapi.private_files import create

BUSY_TIMEOUT_SECONDS = 5.0  # how long a writer waits for the lock
MIGRATION_TIMEOUT_SECONDS = 600.0  # how long a migration waits for the lock, on both databases
BUSY_ADVICE = (
    "another transaction is writing; if it is your own, commit it first, or pass it as connection="
)
CANNOT_OPEN_ADVICE = "let the user of this process read and write the file and its folder"
TABLE_MISSING = "no such table"  # SQLite has no code for it
MAX_RETRY_PAUSE_SECONDS = 0.02  # between two attempts to open a file that others open too

CONNECT_ARGS: dict[str, Any] = {"isolation_level": None, "timeout": BUSY_TIMEOUT_SECONDS}


class FolderMissing(sqlite3.OperationalError):
    """The folder of the file is not there; SQLite would not say which one."""


def configure_connections(engine: Engine) -> None:
    """Configure the connections of an engine."""
    event.listen(engine, "do_connect", _create_file)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "handle_error", _mark_disconnected)


def is_writable(path: str) -> bool:
    """Return whether this process may write the file, its log and index, and files in its folder.

    The log and its index get the permissions of the file when they are created, and keep them.
    """
    file = Path(path)
    paths = {file, file.parent, *database_files(file)}
    return all(os.access(path, os.W_OK) for path in paths)


def database_files(file: Path) -> list[Path]:
    """Return the file of a database, and its log and index, as far as they exist."""
    paths = (file.with_name(f"{file.name}{suffix}") for suffix in ("", "-wal", "-shm"))
    return [path for path in paths if path.exists()]


def _create_file(_dialect: object, _record: object, args: list[Any], _options: object) -> None:
    """Create a missing file with mode 0600; SQLite would create it with the permissions of umask.

    So no other user can read it at any time; the log and its index get the same permissions. Raise
    `FolderMissing`; another error is reported by SQLite.
    """
    file = Path(args[0])
    try:
        create(file)
    except FileNotFoundError as error:
        raise FolderMissing(f"there is no folder {file.parent} for the database") from error
    except OSError:
        return


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    """Set the pragmas that SQLite does not store (measured in the performance notes)."""
    try:
        _enable_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error:
        connection.close()  # it is not in the pool yet
        raise


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Enable write-ahead logging: readers and the writer do not wait for each other.

    If several processes open a new file at once, SQLite can detect a deadlock and report BUSY
    without waiting. Therefore this retries.
    """
    _retry(lambda: connection.execute("PRAGMA journal_mode=WAL"), BUSY_TIMEOUT_SECONDS)


def _retry(run: Callable[[], object], seconds: float) -> None:
    """Run a statement, again and again while the database is busy."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            run()
        except (sqlite3.OperationalError, exc.OperationalError) as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, MAX_RETRY_PAUSE_SECONDS))  # noqa: S311 - no secret, only jitter
        else:
            return


def is_busy(error: object) -> bool:
    """Return whether another process holds the write lock."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0)
    return bool(code & 0xFF == sqlite3.SQLITE_BUSY)


def cannot_open(error: object) -> bool:
    """Return whether the file cannot be opened, although its folder is there."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0)
    return bool(code & 0xFF == sqlite3.SQLITE_CANTOPEN)


def take_write_lock(connection: Connection) -> None:
    """Begin a transaction with the write lock, so that it does not fail later with BUSY."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def begin_migration(connection: Connection) -> None:
    """Begin a transaction for migrations: wait for other ones, and do not enforce references.

    To change a table, a migration copies it and drops the old one, which would delete the rows that
    refer to it (ON DELETE CASCADE). SQLite ignores the pragma within a transaction. The connection
    does not return to the pool.
    """
    connection.detach()
    connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    _retry(lambda: take_write_lock(connection), MIGRATION_TIMEOUT_SECONDS)


def is_statement_error(error: object) -> bool:
    """Return whether a statement is wrong, which SQLite reports like an unavailable database.

    A missing table is not the fault of the statement: the migrations did not run yet.
    """
    code = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_ERROR and not str(error).startswith(TABLE_MISSING)


def _mark_disconnected(context: ExceptionContext) -> None:
    """Discard a connection that found the file read-only: it would never write again (R-32)."""
    code = getattr(context.original_exception, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        context.is_disconnect = True
