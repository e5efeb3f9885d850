"""The two ways to the database, and what surfaces when it cannot be used."""

import threading
from contextlib import suppress

import pytest
from sqlalchemy import text

from itemsapi.db import Database, sqlite
from itemsapi.problems import DatabaseUnavailable


@pytest.fixture
def dialect() -> str:
    """PostgreSQL lets writers in side by side."""
    return "sqlite"


def test_a_writer_whose_turn_does_not_come_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not hold a thread of the server for ever (R-07)."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    refused: list[type[Exception]] = []

    def write() -> None:
        try:
            with database.transaction():
                pass
        except DatabaseUnavailable as refusal:
            refused.append(type(refusal))

    with database.transaction():
        other = threading.Thread(target=write)
        other.start()
        other.join()
    write()
    assert refused == [DatabaseUnavailable]


def test_nothing_is_kept_of_a_change_that_fails_in_its_middle(database: Database) -> None:
    """All of it or none."""
    with suppress(ZeroDivisionError), database.transaction() as tx:
        tx.execute(text("DELETE FROM itemsapi_role"))
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM itemsapi_role")) == 3
