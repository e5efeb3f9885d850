"""Transactions of the database, and the errors when it cannot be used."""

import threading
from contextlib import suppress

import pytest
from sqlalchemy import text

from itemsapi.db import Database, sqlite
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
