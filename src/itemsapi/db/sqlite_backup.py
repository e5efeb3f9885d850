"""Backups of SQLite: a consistent copy while other processes write, and the way back.

SQLite's own backup API copies the pages. The copy is that of one moment, because the connection
holds a snapshot of the write-ahead log meanwhile; writers do not wait for it.
"""

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from itemsapi.command_line import command_line
from itemsapi.db.backup_file import BackupFailed, BeginTask, Origin, ReportSteps, new_file
from itemsapi.db.ownership import VERSION_TABLE
from itemsapi.db.sqlite import BUSY_TIMEOUT_SECONDS

PAGES_PER_STEP = 1024  # 4 MiB
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"


def back_up(database: Path, file: Path, begin: BeginTask) -> dict[str, int]:
    """Write a checked copy of a database into a new file; return the number of rows by table.

    Raise `BackupFailed`, also for a file that exists, and `OSError` for one that cannot be written.
    """
    with (
        _explained(f"{database} cannot be copied"),
        new_file(file) as part,
        _open(database) as source,
        _open(part) as copy,
    ):
        source.execute("BEGIN")
        counts = _count_rows(source)  # begins the snapshot
        copy_pages(source, copy, begin("Copying", 1))
        copy.execute("PRAGMA journal_mode=DELETE")  # so that it is a single file
        _check(copy, counts, begin("Checking", 1))
    return counts


def restore(database: Path, file: Path, statements: Sequence[str], begin: BeginTask) -> None:
    """Replace all that a database contains by a backup, after `statements` ran on it.

    That is one transaction: processes that have the database open see it at their next statement.
    Raise `BackupFailed`; then nothing was changed.
    """
    with tempfile.TemporaryDirectory(dir=database.parent, prefix=".restore-") as folder:
        copy = Path(folder) / database.name
        with _explained(f"{file} is damaged"):
            _read_backup(file, copy, statements, begin)
        with _explained(f"{database} cannot be replaced"), _open(copy) as source:
            database.touch(mode=0o600)  # if it is new, nobody else may read it
            with _open(database) as target:
                copy_pages(source, target, begin("Restoring", 1))


def _read_backup(file: Path, copy: Path, statements: Sequence[str], begin: BeginTask) -> None:
    with _open(file, "ro") as source, _open(copy, "rwc") as target:
        copy_pages(source, target, begin("Reading", 1))
        _check(target, _count_rows(source), begin("Checking", 1))
        target.executescript(";".join(["BEGIN", *statements, "COMMIT"]))


def read_origin(file: Path) -> Origin:
    """Return whose tables are in a backup. Raise `BackupFailed` if it cannot be read."""
    with _explained(f"{file} is damaged"), _open(file, "ro") as connection:
        tables = {name for (name,) in connection.execute(_TABLES)}
        if VERSION_TABLE not in tables:
            words = f"{file} has no tables of itemsapi; name a file of"
            raise BackupFailed(f"{words} {command_line('db backup')}")
        return Origin(
            _first(connection, f"SELECT version_num FROM {VERSION_TABLE}"),  # noqa: S608 - a constant
            _first(connection, "SELECT name FROM itemsapi_user_set"),
        )


def _first(connection: sqlite3.Connection, query: str) -> str | None:
    row = connection.execute(query).fetchone()
    return row and str(row[0])


def copy_pages(
    source: sqlite3.Connection, target: sqlite3.Connection, advance: ReportSteps
) -> None:
    """Copy all pages; the whole copy counts as one step."""
    done = 0.0

    def report(_status: int, remaining: int, total: int) -> None:
        nonlocal done
        before, done = done, 1 - remaining / total if total else 1.0
        advance(done - before)

    source.backup(target, pages=PAGES_PER_STEP, progress=report)


def _count_rows(connection: sqlite3.Connection) -> dict[str, int]:
    names = [name for (name,) in connection.execute(_TABLES)]
    return {name: _count(connection, name) for name in names}


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    (count,) = connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()  # noqa: S608 - a name
    return int(count)


def _check(copy: sqlite3.Connection, counts: dict[str, int], advance: ReportSteps) -> None:
    """Raise `BackupFailed` unless each page of a copy is sound, and it has all rows."""
    (result,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if result != "ok":
        words = "the copy is damaged, and perhaps what was copied too; nothing was changed"
        raise BackupFailed(f"{words}: check the disk, and try again ({' '.join(result.split())})")
    if _count_rows(copy) != counts:
        raise BackupFailed("the copy does not have all rows; try again")
    advance(1)


@contextmanager
def _open(file: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    """Yield a connection in autocommit mode; it creates no file unless `mode` is `rwc`."""
    uri = f"file:{quote(str(file.absolute()))}?mode={mode}"
    options: dict[str, Any] = {"isolation_level": None, "timeout": BUSY_TIMEOUT_SECONDS}
    with closing(sqlite3.connect(uri, uri=True, **options)) as connection:
        yield connection


@contextmanager
def _explained(subject: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BackupFailed(f"{subject}: {error}") from error
