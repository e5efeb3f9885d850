"""A PostgreSQL that does not respond: timeouts and the circuit breaker (R-04)."""

import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from itemsapi.db import Database, postgres
from itemsapi.db.postgres import TimeoutConnection
from itemsapi.problems import DatabaseUnavailable, NotFound

LONG = 60.0
# A server that hangs does not apply its own timeout.
HANG = text(
    "DO $$ BEGIN PERFORM set_config('statement_timeout', '0', false); PERFORM pg_sleep(120); END $$"
)

pytestmark = pytest.mark.postgres


@pytest.fixture
def dialect() -> str:
    """SQLite has no server."""
    return "postgresql"


@pytest.fixture
def silent(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that did not respond for a tenth of a second, and responds now."""
    monkeypatch.setattr(TimeoutConnection, "timeout_seconds", 0.1)
    monkeypatch.setattr(postgres, "BREAKER_SECONDS", LONG)
    with suppress(DatabaseUnavailable), database.reading() as connection:
        connection.execute(HANG)
    monkeypatch.setattr(TimeoutConnection, "timeout_seconds", postgres.RESPONSE_TIMEOUT_SECONDS)
    return database


def after_breaker(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Return the database after the circuit breaker's time."""
    later = time.monotonic() + LONG
    monkeypatch.setattr(postgres, "time", SimpleNamespace(monotonic=lambda: later))
    return database


def responds(database: Database) -> bool:
    """Return whether a query is sent and answered."""
    try:
        with database.reading() as connection:
            return bool(connection.scalar(text("SELECT 1")))
    except DatabaseUnavailable:
        return False


def test_the_client_times_out_when_the_server_does_not_respond(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped server cannot apply its own timeout."""
    monkeypatch.setattr(TimeoutConnection, "timeout_seconds", 0.1)
    started_at = time.monotonic()
    with pytest.raises(DatabaseUnavailable), database.reading() as connection:
        connection.execute(HANG)
    assert time.monotonic() - started_at < 120


def test_queries_fail_at_once_after_a_timeout(silent: Database) -> None:
    """For the time of the circuit breaker."""
    assert not responds(silent)


def test_queries_succeed_when_the_server_responds_again(
    silent: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one query has succeeded."""
    after_breaker(silent, monkeypatch)
    assert [responds(silent) for _ in range(3)] == [True] * 3


def test_one_query_at_a_time_probes_the_server(
    silent: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile the others still fail at once."""
    after_breaker(silent, monkeypatch)
    with silent.reading() as connection:
        assert not responds(silent)
        assert connection.scalar(text("SELECT 1")) == 1
    assert responds(silent)


def test_a_problem_raised_in_the_block_closes_the_breaker(
    silent: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has responded, even if the row was not found."""
    after_breaker(silent, monkeypatch)
    with pytest.raises(NotFound), silent.reading():
        raise NotFound
    assert responds(silent)


def test_the_next_query_probes_when_the_connection_is_refused(
    silent: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is known at once, unlike a timeout (R-03)."""
    after_breaker(silent, monkeypatch)
    with pytest.raises(DatabaseUnavailable), silent.reading() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    assert responds(silent)


def test_a_syntax_error_is_not_reported_as_an_outage(database: Database) -> None:
    """It is a 500, a bug to fix."""
    with pytest.raises(Exception, match="syntax error"), database.reading() as connection:
        connection.execute(text("SELEKT 1"))
