"""Make the database fail at the n-th step, a statement or a commit, or not respond at all."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, event, exc, text

from itemsapi.db import Database

# A PostgreSQL that hangs does not apply its own timeout.
HANG = text(
    "DO $$ BEGIN PERFORM set_config('statement_timeout', '0', false); PERFORM pg_sleep(120); END $$"
)

FaultMode = Literal["once", "from then on", "answer lost"]


@dataclass
class FaultInjector:
    """Counts steps; fails the one numbered `at`, or all steps from it on.

    In the mode `answer lost` a commit takes place, but the caller gets an error.
    """

    at: int = 0
    mode: FaultMode = "once"
    count: int = 0
    failed: int = 0

    def statement(self, *_: Any) -> None:
        """Count a statement before it is executed."""
        self._step()

    def driver_statement(self) -> None:
        """Count a statement that does not pass through SQLAlchemy."""
        try:
            self._step()
        except exc.OperationalError as error:
            raise sqlite3.OperationalError("the database is away") from error

    def commit(self, connection: Connection) -> None:
        """Count a commit before it is executed."""
        if self.mode == "answer lost" and self.count + 1 == self.at:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.commit()
        self._step()

    def _step(self) -> None:
        self.count += 1
        if self.count == self.at or (self.mode == "from then on" and 0 < self.at <= self.count):
            self.failed += 1
            raise exc.OperationalError("a step", {}, ConnectionError("the database is away"))


@contextmanager
def failing_database(
    database: Database, at: int = 0, how: FaultMode = "once"
) -> Iterator[FaultInjector]:
    """Make a step fail within the block; with `at=0` only count the steps."""
    steps = FaultInjector(at, how)
    listeners: list[tuple[str, Callable[..., object]]] = [
        ("before_cursor_execute", steps.statement),
        ("commit", steps.commit),
    ]
    if database.dialect == "sqlite":
        listeners.append(("do_connect", _connect_with(steps)))
        database.dispose()
    for name, listener in listeners:
        event.listen(database.engine, name, listener)
    try:
        yield steps
    finally:
        for name, listener in listeners:
            event.remove(database.engine, name, listener)
        if database.dialect == "sqlite":
            database.dispose()


def _connect_with(steps: FaultInjector) -> Callable[..., sqlite3.Connection]:
    """Return what opens connections of SQLite whose look-ups are steps."""

    class StepConnection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if not sql.startswith("PRAGMA"):
                steps.driver_statement()
            return super().execute(sql, *parameters)

    def connect(_dialect: Any, _record: Any, args: Any, options: Any) -> sqlite3.Connection:
        return StepConnection(*args, **options)

    return connect


def rename_away(database: Database, table: str) -> None:
    """Rename a table, as in a restored or half-migrated database."""
    with database.transaction() as tx:
        tx.connection().exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_gone")


def rename_back(database: Database, table: str) -> None:
    """Give the table its name again."""
    with database.transaction() as tx:
        tx.connection().exec_driver_sql(f"ALTER TABLE {table}_gone RENAME TO {table}")
