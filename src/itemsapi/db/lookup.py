"""Look-ups: SELECT statements that never change, for the queries of most requests.

SQLAlchemy takes seven times as long as SQLite for one row: it looks for a connection, finds the
compiled statement, and makes a result object. So a look-up is compiled once; then its text goes to
the driver, on a connection that stays open (benchmarks/request_cost.py). PostgreSQL is further away
than all of this, so there a look-up is run by SQLAlchemy.
"""

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Dialect, Engine, Select
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.types import TypeEngine

Rows = Sequence[Sequence[Any]]  # each has its values in the order of the selected columns
Parameters = Mapping[str, Any]
Process = Callable[[Any], Any]
Statement = Select[Any] | CompoundSelect[Any]


class Lookup:
    """A SELECT that never changes, with bind parameters for its values."""

    def __init__(self, statement: Statement) -> None:
        """Take the statement; its lists of values cannot be expanded (`expanding=True`)."""
        self.statement = statement
        self._for_driver: DriverStatement | None = None

    def for_driver(self, dialect: Dialect) -> "DriverStatement":
        """Return what the driver of SQLite runs."""
        if self._for_driver is None:
            self._for_driver = DriverStatement(self.statement, dialect)
        return self._for_driver


class DriverStatement:
    """The text of a look-up, the order of its parameters, and what its types do with values."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        """Compile the statement."""
        compiled: Any = statement.compile(dialect=dialect)
        self._text = str(compiled)
        self._names: list[str] = compiled.positiontup
        binds = {name: _of(bind.type, dialect) for name, bind in compiled.binds.items()}
        processors = {name: kind.bind_processor(dialect) for name, kind in binds.items()}
        self._processors = {name: process for name, process in processors.items() if process}
        self._constants = {
            name: self._processed(name, value)
            for name, value in compiled.params.items()
            if not compiled.binds[name].required
        }
        columns = [_of(each.type, dialect) for each in statement.selected_columns]
        readers = [kind.result_processor(dialect, None) for kind in columns]
        self._readers = [(at, read) for at, read in enumerate(readers) if read]

    def run(self, connection: sqlite3.Connection, params: Parameters) -> Rows:
        """Return all rows on a connection of the driver. Raise its errors."""
        given = {name: self._processed(name, value) for name, value in params.items()}
        values = {**self._constants, **given}
        rows = connection.execute(self._text, [values[name] for name in self._names]).fetchall()
        return self._read(rows) if rows and self._readers else rows

    def _processed(self, name: str, value: object) -> object:
        process = self._processors.get(name)
        return process(value) if process else value

    def _read(self, rows: Rows) -> Rows:
        """Convert the columns whose type is not one of the driver."""
        columns: list[Sequence[Any]] = [*zip(*rows, strict=True)]
        for at, read in self._readers:
            columns[at] = [*map(read, columns[at])]
        return [*zip(*columns, strict=True)]


def _of(kind: TypeEngine[Any], dialect: Dialect) -> Any:  # noqa: ANN401 - of any type
    return kind.dialect_impl(dialect)


class SqliteReader:
    """Runs look-ups on connections that stay open; each is used by one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        """Take the engine that opens the connections."""
        self._engine = engine
        self._idle: deque[PoolProxiedConnection] = deque()
        self._process = os.getpid()

    def run(self, lookup: Lookup, params: Parameters) -> Rows:
        """Return the rows of a look-up. Raise the errors of the driver, and those of `connect`."""
        if self._process != os.getpid():  # after a fork the connections belong to the parent
            self.close()
        idle = self._idle
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._open()
        try:
            rows = lookup.for_driver(self._engine.dialect).run(connection.dbapi_connection, params)
        except BaseException:
            connection.close()
            raise
        idle.append(connection)
        if idle is not self._idle:
            _close(idle)
        return rows

    def close(self) -> None:
        """Close all connections; those that are in use now, afterwards."""
        idle, self._idle, self._process = self._idle, deque(), os.getpid()
        _close(idle)

    def _open(self) -> PoolProxiedConnection:
        connection = self._engine.raw_connection()
        connection.detach()  # the pool opens and configures it, and does not count it
        return connection


def _close(connections: "deque[PoolProxiedConnection]") -> None:
    while connections:
        connections.pop().close()
