"""Copy all rows of tables from SQLite to PostgreSQL, and compare them afterwards.

The rows go through the types of the models, so a time, a boolean or JSON is the same on both sides.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Table, create_engine, exc, func, insert, select, text
from sqlalchemy.pool import StaticPool

from itemsapi.db.backup_file import BeginTask
from itemsapi.db.sqlite import is_busy
from itemsapi.db.types import AnyRow
from itemsapi.observability.logging import summarize_error
from itemsapi.operator_error import OperatorError

BATCH_ROWS = 1000
LOCK_TIMEOUT_SECONDS = 1.0  # for another process that has the file open
_LAST_NUMBERS = text("SELECT name, seq FROM sqlite_sequence")  # of tables with AUTOINCREMENT
_SEQUENCE = text("SELECT pg_get_serial_sequence(:table, :column)")
_SET_SEQUENCE = text("SELECT setval(CAST(:sequence AS regclass), :number)")


class CopyFailed(OperatorError, RuntimeError):
    """Data cannot be copied to another database; the message says why, and what to do."""


@contextmanager
def exclusive_source(file: Path) -> Iterator[Connection]:
    """Yield a connection to an SQLite file that no other process has open.

    Raise `CopyFailed` if one has: it could write what the copy would not have.
    """
    uri = f"file:{quote(str(file.absolute()))}?mode=rw"
    with closing(
        sqlite3.connect(uri, uri=True, isolation_level=None, timeout=LOCK_TIMEOUT_SECONDS)
    ) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN IMMEDIATE")  # the lock is taken at the first access
        except sqlite3.Error as error:
            if not is_busy(error):
                raise CopyFailed(f"{file} cannot be locked: {error}") from error
            words = "is open in another process; stop the service, and all else that has it open"
            raise CopyFailed(f"{file} {words}") from error
        engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
        with engine.connect() as source:
            yield source


def copy_table(source: Connection, target: Connection, table: Table, begin: BeginTask) -> int:
    """Copy the rows of a table, and compare both; return their number. Raise `CopyFailed`."""
    total = source.execute(select(func.count()).select_from(table)).scalar_one()
    advance, digest = begin(f"Copying {table.name}", 2 * total), RowDigest()
    for rows in _batches(source, table):
        digest.add(rows)
        try:
            target.execute(insert(table), [dict(row._mapping) for row in rows])  # noqa: SLF001 - public
        except exc.DBAPIError as error:
            words = f"a row of {table.name} cannot be copied, and nothing was changed"
            raise CopyFailed(f"{words}: {summarize_error(error)}") from error
        advance(len(rows))
    copied = RowDigest()
    for rows in _batches(target, table):
        copied.add(rows)
        advance(len(rows))
    if copied != digest:
        words = f"the rows of {table.name} differ after the copy; nothing was changed"
        advice = f"look for a trigger or a changed type of {table.name} in the new database"
        raise CopyFailed(f"{words}; {advice}")
    _continue_numbers(source, target, table)
    return int(total)


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[AnyRow]]:
    options = {"stream_results": True, "yield_per": BATCH_ROWS}
    with connection.execute(select(table), execution_options=options) as result:
        yield from result.partitions()


class RowDigest:
    """A digest of rows that does not depend on their order, which text has by the collation."""

    def __init__(self) -> None:
        """Start with no rows."""
        self._count, self._sum = 0, 0

    def add(self, rows: Sequence[AnyRow]) -> None:
        """Add rows."""
        for row in rows:
            written = repr([_canonical(value) for value in row]).encode()
            self._sum += int.from_bytes(blake2b(written, digest_size=16).digest())
        self._count += len(rows)

    def __eq__(self, other: object) -> bool:
        """Return whether the rows of both are the same."""
        return isinstance(other, RowDigest) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it changes


def _canonical(value: object) -> object:
    """Return a value in the form that both databases have in common."""
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, Decimal):
        return value.normalize()
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str)
    return bytes(value) if isinstance(value, memoryview) else value


def _continue_numbers(source: Connection, target: Connection, table: Table) -> None:
    """Let the numbers of new rows go on after the last one ever used, of deleted rows too."""
    column = table.autoincrement_column
    if column is None:
        return
    name = target.dialect.identifier_preparer.format_table(table)
    sequence = target.scalar(_SEQUENCE, {"table": name, "column": column.name})
    number = max(_last_number(source, table), target.scalar(select(func.max(column))) or 0)
    if sequence is not None and number:
        target.execute(_SET_SEQUENCE, {"sequence": sequence, "number": number})


def _last_number(source: Connection, table: Table) -> int:
    has_numbers = text("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")
    if source.scalar(has_numbers) is None:
        return 0
    return {row.name: int(row.seq) for row in source.execute(_LAST_NUMBERS)}.get(table.name, 0)
