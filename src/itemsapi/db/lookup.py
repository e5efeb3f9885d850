"""Look-ups: statements that never change, for what most requests read and write.

SQLAlchemy takes seven times as long as SQLite for one row: it looks for a connection, finds the
compiled statement, and makes a result object. So a look-up is compiled once; then its text goes to
the driver, on a connection that stays open (benchmarks/request_cost.py). PostgreSQL is further away
than all of this, so there a look-up is run by SQLAlchemy.

`fetch` and `execute` run one in a transaction for changes, on the connection of the transaction:
SQLAlchemy begins, commits and rolls back (docs/adr/0018).
"""

import os
import sqlite3
from collections import deque, namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, cast

from sqlalchemy import (
    Column,
    CompoundSelect,
    Connection,
    Dialect,
    Engine,
    Insert,
    Select,
    TextClause,
    TextualSelect,
    UpdateBase,
)
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.types import TypeEngine

from itemsapi.db.types import AnyRow, UtcDateTime

Rows = Sequence[Sequence[Any]]  # each has its values in the order of the selected columns
Parameters = Mapping[str, Any]
Process = Callable[[Any], Any]
ReadColumn = Callable[[Sequence[Any]], Sequence[Any]]
Fetch = Callable[["Lookup", Parameters], Rows]
Statement = Select[Any] | CompoundSelect[Any] | UpdateBase | TextClause | TextualSelect

_DRIVER = "itemsapi_sqlite"  # in `Session.info`: the connection of the driver


class Lookup:
    """A statement that never changes, with bind parameters for its values.

    It is a `SELECT`, a change, or a text. An `insert(table)` takes a value for each column, or the
    default of its model.
    """

    def __init__(self, statement: Statement) -> None:
        """Take the statement; its lists of values cannot be expanded (`expanding=True`)."""
        self.statement = statement
        self._for_driver: DriverStatement | None = None

    def for_driver(self, dialect: Dialect) -> "DriverStatement":
        """Return what the driver of SQLite runs."""
        if self._for_driver is None:
            self._for_driver = DriverStatement(self.statement, dialect)
        return self._for_driver

    def named(self, rows: Rows) -> list[AnyRow]:
        """Return rows of the driver with the columns as attributes, as SQLAlchemy's rows."""
        return cast("list[AnyRow]", [*map(self._row_type._make, rows)])

    @cached_property
    def _row_type(self) -> Any:  # noqa: ANN401 - a class with the columns as attributes
        make: Any = namedtuple  # noqa: PYI024 - the names are not known earlier
        return make("Row", [each.key for each in _returned_columns(self.statement)])


class DriverStatement:
    """The text of a look-up, the order of its parameters, and what its types do with values."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        """Compile the statement."""
        inserted = _inserted_columns(statement)
        keys = [column.key for column in inserted] or None
        compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
        self._text = str(compiled)
        self._names: list[str] = compiled.positiontup
        # One name may stand in several places, and not each of them knows its type.
        processors = [
            (name, _of(bind.type, dialect).bind_processor(dialect))
            for bind, name in compiled.bind_names.items()
        ]
        self._process_by_name = {name: process for name, process in processors if process}
        self._processors = self._process_by_name.keys()
        self._constants = {
            name: self._processed(name, value)
            for name, value in compiled.params.items()
            if not compiled.binds[name].required
        } | _defaults(inserted)
        readers = [_column_reader(each.type, dialect) for each in _returned_columns(statement)]
        self._readers = [(at, read) for at, read in enumerate(readers) if read]

    def run(self, connection: sqlite3.Connection, params: Parameters) -> Rows:
        """Return all rows on a connection of the driver. Raise its errors."""
        values = {**self._constants, **params}
        for name in self._processors & params.keys():
            values[name] = self._processed(name, values[name])
        rows = connection.execute(self._text, [values[name] for name in self._names]).fetchall()
        return self._read(rows) if rows and self._readers else rows

    def _processed(self, name: str, value: object) -> object:
        process = self._process_by_name.get(name)
        return process(value) if process else value

    def _read(self, rows: Rows) -> Rows:
        """Convert the columns whose type is not one of the driver."""
        columns: list[Sequence[Any]] = [*zip(*rows, strict=True)]
        for at, read in self._readers:
            columns[at] = read(columns[at])
        return [*zip(*columns, strict=True)]


def _returned_columns(statement: Statement) -> Sequence[Column[Any]]:
    """Return the columns of the rows that a statement returns; none for a change."""
    return [*getattr(statement, "exported_columns", ())]


def _inserted_columns(statement: Statement) -> list[Column[Any]]:
    """Return the columns that an `INSERT` writes: all that the database does not number itself."""
    if not isinstance(statement, Insert):
        return []
    table: Any = statement.table
    return [column for column in table.columns if column is not table.autoincrement_column]


def _defaults(columns: Sequence[Column[Any]]) -> dict[str, object]:
    """Return what is written into columns without a value: null, or a constant."""
    optional = [column for column in columns if column.nullable or column.default]
    return {column.key: getattr(column.default, "arg", None) for column in optional}


def _column_reader(kind: TypeEngine[Any], dialect: Dialect) -> ReadColumn | None:
    """Return what converts the values of a column; None if they are those of the driver."""
    if isinstance(kind, UtcDateTime):
        return kind.parse_column
    process: Process | None = _of(kind, dialect).result_processor(dialect, None)
    return process and (lambda values: [*map(process, values)])


def _of(kind: TypeEngine[Any], dialect: Dialect) -> Any:  # noqa: ANN401 - of any type
    return kind.dialect_impl(dialect)


class SqliteReader:
    """Runs look-ups on connections that stay open; each is used by one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        """Take the engine that opens the connections."""
        self._engine = engine
        self._idle: deque[PoolProxiedConnection] = deque()
        self._of_parent: deque[PoolProxiedConnection] = deque()
        self._process = os.getpid()

    def run(self, lookup: Lookup, params: Parameters) -> Rows:
        """Return the rows of a look-up. Raise the errors of the driver, and those of `connect`."""
        if self._process != os.getpid():
            self._leave_to_parent()
        idle = self._idle
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._open()
        try:
            statement = lookup.for_driver(self._engine.dialect)
            rows = statement.run(cast("sqlite3.Connection", connection.dbapi_connection), params)
        except BaseException:
            connection.close()
            raise
        idle.append(connection)
        if idle is not self._idle:
            _close(idle)
        return rows

    def close(self) -> None:
        """Close all connections; those that are in use now, afterwards."""
        if self._process != os.getpid():
            self._leave_to_parent()
        idle, self._idle = self._idle, deque()
        _close(idle)

    def _leave_to_parent(self) -> None:
        """Neither use nor close the connections of the process that forked this one.

        SQLite forbids both; without a reference they would be closed.
        """
        self._of_parent, self._idle, self._process = self._idle, deque(), os.getpid()

    def _open(self) -> PoolProxiedConnection:
        connection = self._engine.raw_connection()
        connection.detach()  # the pool opens and configures it, and does not count it
        return connection


def use_driver(tx: Session, connection: Connection) -> None:
    """Let `fetch` use the driver in a transaction of SQLite on this connection."""
    if connection.dialect.name == "sqlite":
        tx.info[_DRIVER] = connection


def fetch(tx: Session | Connection, lookup: Lookup, params: Parameters) -> Sequence[AnyRow]:
    """Return the rows of a look-up in a transaction. Raise the errors of the driver.

    After an error on the driver the connection is closed, so the transaction is rolled back.
    """
    connection = _driver_connection(tx)
    if connection is None:
        return tx.execute(lookup.statement, params).all()
    return lookup.named(_run_on_driver(cast("Session", tx), connection, lookup, params))


def fetch_first(tx: Session | Connection, lookup: Lookup, params: Parameters) -> AnyRow | None:
    """Return the first row of a look-up in a transaction, None without one; see `fetch`."""
    return next(iter(fetch(tx, lookup, params)), None)


def execute(tx: Session, lookup: Lookup, params: Parameters) -> None:
    """Run a change that returns no rows, in a transaction; see `fetch`."""
    connection = _driver_connection(tx)
    if connection is None:
        tx.execute(lookup.statement, params)
    else:
        _run_on_driver(tx, connection, lookup, params)


def _driver_connection(tx: Session | Connection) -> Connection | None:
    return tx.info.get(_DRIVER) if isinstance(tx, Session) else None


def _run_on_driver(tx: Session, connection: Connection, lookup: Lookup, params: Parameters) -> Rows:
    tx.flush()
    statement = lookup.for_driver(connection.dialect)
    try:
        return statement.run(
            cast("sqlite3.Connection", connection.connection.dbapi_connection), params
        )
    except sqlite3.Error:
        connection.invalidate()  # it may have found the file read-only
        raise


def _close(connections: "deque[PoolProxiedConnection]") -> None:
    with suppress(IndexError):  # another thread may take the last one
        while True:
            connections.pop().close()
