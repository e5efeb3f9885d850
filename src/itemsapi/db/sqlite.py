"""What SQLite needs told: how to keep its file, when to lock it, and to wait where it does not."""

import os
import random
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

BUSY_TIMEOUT_SECONDS = 5.0  # seconds a writer waits for its turn
MAX_RETRY_PAUSE_SECONDS = (
    0.02  # seconds, at most, between two tries to open a file that others open too
)

CONNECT_ARGS: dict[str, Any] = {"isolation_level": None, "timeout": BUSY_TIMEOUT_SECONDS}


def configure_connections(engine: Engine) -> None:
    """Open connections of an engine with our settings, and begin its writers at once."""
    event.listen(engine, "do_connect", _make)
    event.listen(engine, "connect", _settle)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _leave)


def is_writable(path: str) -> bool:
    """Tell whether this process may write the file, what lies beside it, and new files there.

    The log and its index get the file's permissions when they are made, and keep them.
    """
    file = Path(path)
    needed = {file, file.parent, *database_files(file)}
    return all(os.access(one, os.W_OK) for one in needed)


def database_files(file: Path) -> list[Path]:
    """Return the file of a database, and its log and index, as far as they are there."""
    around = (file.with_name(f"{file.name}{end}") for end in ("", "-wal", "-shm"))
    return [one for one in around if one.exists()]


def _make(_dialect: object, _record: object, args: list[Any], _options: object) -> None:
    """Make a file that is not there for its owner alone, before SQLite makes it for everybody.

    It is never open to others, not for a moment; the log and its index get the same permissions.
    What cannot be made SQLite reports, in its own words.
    """
    with suppress(OSError):
        os.close(os.open(args[0], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _settle(connection: sqlite3.Connection, _record: object) -> None:
    """Set what SQLite forgets between connections (measured in the performance notes)."""
    try:
        _keep_a_log(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error:
        connection.close()  # the pool has not got it yet
        raise


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Turn write-ahead logging on: readers and the writer do not wait for each other.

    Of several processes that open a new file at once each may read it while another wants it for
    itself. SQLite sees that waiting could last for ever and says BUSY without any: so we try again.
    """
    ends = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(random.uniform(0, MAX_RETRY_PAUSE_SECONDS))  # noqa: S311 - no secret, only out of step
        else:
            return


def _begin(connection: Connection) -> None:
    """Take the write lock at the start, so that no transaction fails in its middle (BUSY)."""
    if connection.get_execution_options().get("itemsapi_writing"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _leave(context: ExceptionContext) -> None:
    """Open the file anew where it could once only be read: that connection never writes (R-32)."""
    code = getattr(context.original_exception, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        context.is_disconnect = True
