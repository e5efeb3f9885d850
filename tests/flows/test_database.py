"""Transactions of the database, and the errors when it cannot be used."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from sqlalchemy import text

from itemsapi.db import Database, sqlite
from itemsapi.problems import DatabaseUnavailable


@pytest.fixture
def dialect() -> str:
    """PostgreSQL has concurrent writers."""
    return "sqlite"


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
