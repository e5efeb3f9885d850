"""Transactions of the database, and the errors when it cannot be used."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import exc, inspect, text

from itemsapi.accounts.models import Role
from itemsapi.db import (
    Database,
    SchemaOutdated,
    check_schema,
    current_revision,
    downgrade,
    is_empty,
    newest_revision,
    run_after_commit,
    sqlite,
    upgrade,
)
from itemsapi.db.ownership import LAYER_TABLES, VERSION_TABLE, SchemaConflict
from itemsapi.problems import DatabaseUnavailable

pytestmark = pytest.mark.dialect("sqlite")  # PostgreSQL has concurrent writers


def test_a_writer_fails_when_it_waits_too_long_for_the_lock(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not block a thread of the server forever (R-07)."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    errors: list[type[Exception]] = []

    def write() -> None:
        try:
            with database.transaction():
                pass
        except DatabaseUnavailable as error:
            errors.append(type(error))

    with database.transaction():
        other = threading.Thread(target=write)
        other.start()
        other.join()
    write()
    assert errors == [DatabaseUnavailable]


def test_a_transaction_is_rolled_back_when_it_raises(database: Database) -> None:
    """Nothing of it is stored."""
    with suppress(ZeroDivisionError), database.transaction() as tx:
        tx.execute(text("DELETE FROM itemsapi_role"))
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM itemsapi_role")) == 3


def test_an_action_runs_once_its_transaction_has_committed(database: Database) -> None:
    """What it looks for is there, and it may write itself."""
    found: list[bool] = []

    def look() -> None:
        with database.transaction() as tx:
            found.append(tx.get(Role, "guest") is not None)

    with database.transaction() as tx:
        tx.add(Role(name="guest"))
        run_after_commit(tx, look)
    assert found == [True]


def test_an_action_does_not_run_when_its_transaction_raises(database: Database) -> None:
    """An event that did not happen is not logged."""
    ran: list[str] = []
    with suppress(ZeroDivisionError), database.transaction() as tx:
        run_after_commit(tx, lambda: ran.append("once"))
        raise ZeroDivisionError
    assert not ran


def test_a_row_can_be_read_after_its_transaction(database: Database) -> None:
    """Its values are those that were committed; no connection is needed for them."""
    with database.transaction() as tx:
        role = Role(name="guest", description="Looks around")
        tx.add(role)
    assert (role.name, role.description, role.everything) == ("guest", "Looks around", False)


def test_a_database_without_tables_is_empty(tmp_path: Path) -> None:
    """And one with the tables of any application is not."""
    bare = Database(f"sqlite:///{tmp_path / 'bare.db'}")
    assert is_empty(bare)
    with bare.transaction() as tx:
        tx.execute(text("CREATE VIEW anything AS SELECT 1"))
    assert not is_empty(bare)
    bare.dispose()


def test_a_schema_of_a_newer_version_is_reported(database: Database) -> None:
    """R-24: it is not upgraded."""
    with database.transaction() as tx:
        tx.execute(text("UPDATE itemsapi_alembic_version SET version_num = '9999'"))
    with pytest.raises(
        SchemaOutdated, match="newer than this version of itemsapi; install the newer"
    ):
        check_schema(database)


def test_a_schema_without_the_tables_of_items_is_reported(database: Database) -> None:
    """R-24: an application with the Items API needs them."""
    downgrade(database, "base", of="items")
    with pytest.raises(
        SchemaOutdated, match=r"Items API are at revision base.*itemsapi.* db upgrade"
    ):
        check_schema(database)


def test_an_application_without_items_needs_no_tables_of_items(tmp_path: Path) -> None:
    """An adopter of the layer gets its tables only."""
    adopter = Database(f"sqlite:///{tmp_path / 'adopter.db'}", items=False)
    upgrade(adopter)
    check_schema(adopter)
    names = set(inspect(adopter.engine).get_table_names())
    assert names == LAYER_TABLES | {VERSION_TABLE}
    adopter.dispose()


def test_a_schema_without_tables_is_reported(tmp_path: Path) -> None:
    """R-24: with the command that creates them."""
    bare = Database(f"sqlite:///{tmp_path / 'bare.db'}")
    with pytest.raises(SchemaOutdated, match=r"no tables yet; run `itemsapi.* db upgrade`"):
        check_schema(bare)
    bare.dispose()


def test_the_newest_schema_is_accepted(database: Database) -> None:
    """As every start checks."""
    check_schema(database)
    assert current_revision(database) == newest_revision()


class DriverError(Exception):
    """An error of the PostgreSQL driver."""

    def __init__(self, sqlstate: str) -> None:
        """Take the code of the error."""
        super().__init__("no")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "raised"),
    [
        ("42P07", SchemaConflict),
        ("42501", SchemaConflict),
        ("42601", exc.ProgrammingError),
        ("42P01", DatabaseUnavailable),
    ],
)
def test_an_error_of_a_migration_is_explained_if_the_operator_can_mend_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, sqlstate: str, raised: type[Exception]
) -> None:
    """R-24: another error is raised as it is."""

    def fail(*_: object) -> None:
        raise exc.ProgrammingError("CREATE TABLE", {}, DriverError(sqlstate))

    monkeypatch.setattr(command, "upgrade", fail)
    with pytest.raises(raised):
        upgrade(database)


def test_a_writer_waits_for_another_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-07: for five seconds; on SQLite there is one at a time in a process."""
    waits: list[float] = []

    class HeldLock:
        def acquire(self, timeout: float) -> bool:
            waits.append(timeout)
            return False

    monkeypatch.setattr(database, "_writer_lock", HeldLock())
    with pytest.raises(DatabaseUnavailable), database.transaction():
        pass
    assert waits == [5.0]


def test_at_most_twenty_connections_are_open(database: Database) -> None:
    """R-07: ten, and ten more under load (docs/operations.md); the next one waits two seconds."""
    pool: Any = database.engine.pool
    assert (pool.size(), pool._max_overflow, pool.timeout()) == (10, 10, 2)  # noqa: SLF001 - no public name


@pytest.fixture
def other_process(database: Database) -> Iterator[sqlite3.Connection]:
    """A connection to the same file that does not wait for locks."""
    file = str(database.engine.url.database)
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        yield connection


def test_another_process_cannot_write_when_a_transaction_has_read(
    database: Database, other_process: sqlite3.Connection
) -> None:
    """A transaction takes the write lock first: what it has read is true when it writes (R-07)."""
    with database.transaction() as tx:
        tx.execute(text("SELECT count(*) FROM itemsapi_role"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other_process.execute("BEGIN IMMEDIATE")


def test_another_process_can_write_when_a_look_up_is_open(
    database: Database, other_process: sqlite3.Connection
) -> None:
    """A look-up takes no lock that a writer needs (R-07)."""
    with database.reading() as connection:
        connection.execute(text("SELECT count(*) FROM itemsapi_role"))
        other_process.execute("BEGIN IMMEDIATE")
    assert other_process.in_transaction


@pytest.mark.parametrize("statement", ["selct 1", "SELECT colour FROM itemsapi_role"])
def test_a_wrong_statement_is_no_outage(database: Database, statement: str) -> None:
    """R-35: it is a fault of the code, and the log must show where (as with PostgreSQL)."""
    with pytest.raises(exc.OperationalError), database.reading() as connection:
        connection.execute(text(statement))


def test_a_missing_table_is_an_outage(database: Database) -> None:
    """R-24: the migrations did not run yet; clients retry."""
    with pytest.raises(DatabaseUnavailable), database.reading() as connection:
        connection.execute(text("SELECT 1 FROM parcel"))
