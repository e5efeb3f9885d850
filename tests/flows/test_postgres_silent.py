"""A PostgreSQL that says nothing: given up on in time, and asked by one thread at a time (R-04)."""

import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from itemsapi.db import Database, postgres
from itemsapi.db.postgres import TimeoutConnection
from itemsapi.problems import DatabaseUnavailable, NotFound

LONG = 60.0
# A server that hangs keeps no limit of its own.
HANG = text(
    "DO $$ BEGIN PERFORM set_config('statement_timeout', '0', false); PERFORM pg_sleep(120); END $$"
)

pytestmark = pytest.mark.postgres


@pytest.fixture
def dialect() -> str:
    """SQLite has nobody to wait for."""
    return "postgresql"


@pytest.fixture
def silent(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that has just been silent, for a tenth of a second, and answers now."""
    monkeypatch.setattr(TimeoutConnection, "timeout_seconds", 0.1)
    monkeypatch.setattr(postgres, "BREAKER_SECONDS", LONG)
    with suppress(DatabaseUnavailable), database.reading() as connection:
        connection.execute(HANG)
    monkeypatch.setattr(TimeoutConnection, "timeout_seconds", postgres.RESPONSE_TIMEOUT_SECONDS)
    return database


def rested(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Return the database when its moment of rest is over."""
    later = time.monotonic() + LONG
    monkeypatch.setattr(postgres, "time", SimpleNamespace(monotonic=lambda: later))
    return database


def answers(database: Database) -> bool:
    """Tell whether the database is asked, and answers."""
    try:
        with database.reading() as connection:
            return bool(connection.scalar(text("SELECT 1")))
    except DatabaseUnavailable:
        return False


def test_a_silent_server_is_given_up_on_by_the_client(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped server cannot keep a limit of its own."""
    monkeypatch.setattr(TimeoutConnection, "timeout_seconds", 0.1)
    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailable), database.reading() as connection:
        connection.execute(HANG)
    assert time.monotonic() - begun < 120


def test_nobody_asks_a_server_that_was_just_silent(silent: Database) -> None:
    """All are refused at once, for a moment."""
    assert not answers(silent)


def test_it_serves_everybody_when_it_answers_again(
    silent: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as one has found out."""
    rested(silent, monkeypatch)
    assert [answers(silent) for _ in range(3)] == [True] * 3


def test_one_at_a_time_finds_out(silent: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one asks, the others are still refused."""
    rested(silent, monkeypatch)
    with silent.reading() as connection:
        assert not answers(silent)
        assert connection.scalar(text("SELECT 1")) == 1
    assert answers(silent)


def test_a_refusal_of_ours_shows_that_it_answers(
    silent: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds out may be looking for what is not there: the others do not wait for that."""
    rested(silent, monkeypatch)
    with pytest.raises(NotFound), silent.reading():
        raise NotFound
    assert answers(silent)


def test_the_next_one_asks_when_the_server_only_refuses(
    silent: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is known at once, so nobody has to wait for the moment that silence costs (R-03)."""
    rested(silent, monkeypatch)
    with pytest.raises(DatabaseUnavailable), silent.reading() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    assert answers(silent)


def test_a_fault_of_our_own_statement_is_not_called_an_outage(database: Database) -> None:
    """It is a 500, and someone has to mend it."""
    with pytest.raises(Exception, match="syntax error"), database.reading() as connection:
        connection.execute(text("SELEKT 1"))
