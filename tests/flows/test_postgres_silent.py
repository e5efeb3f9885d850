"""A PostgreSQL that does not respond: timeouts and the circuit breaker (R-04)."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy import text

from itemsapi.db import Database, postgres
from itemsapi.db.postgres import BREAKER_SECONDS, ServerSilent, TimeoutConnection
from itemsapi.problems import DatabaseUnavailable, NotFound
from support.database_faults import HANG
from support.manual_timer import ManualTimer

pytestmark = [  # SQLite has no server
    pytest.mark.postgres,
    pytest.mark.dialect("postgresql"),
]


@pytest.fixture
def database(database_url: str, timer: ManualTimer) -> Iterator[Database]:
    """A database whose circuit breaker goes by the timer."""
    database_opened = Database(database_url, monotonic=timer)
    yield database_opened
    database_opened.dispose()


@pytest.fixture
def silent(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that did not respond for a tenth of a second, and responds now."""
    monkeypatch.setattr(TimeoutConnection, "timeout_seconds", 0.1)
    with suppress(DatabaseUnavailable), database.reading() as connection:
        connection.execute(HANG)
    monkeypatch.setattr(TimeoutConnection, "timeout_seconds", postgres.RESPONSE_TIMEOUT_SECONDS)
    return database


@pytest.fixture
def retried(silent: Database, timer: ManualTimer) -> Database:
    """The same database, after the time of the circuit breaker."""
    timer.advance(BREAKER_SECONDS)
    return silent


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
    with pytest.raises(DatabaseUnavailable) as error, database.reading() as connection:
        connection.execute(HANG)
    assert isinstance(getattr(error.value.__cause__, "orig", None), ServerSilent)


def test_queries_fail_at_once_after_a_timeout(silent: Database, timer: ManualTimer) -> None:
    """For the time of the circuit breaker."""
    timer.advance(BREAKER_SECONDS - 0.01)
    assert not responds(silent)


def test_queries_succeed_when_the_server_responds_again(retried: Database) -> None:
    """After one query has succeeded."""
    assert [responds(retried) for _ in range(3)] == [True] * 3


def test_one_query_at_a_time_probes_the_server(retried: Database) -> None:
    """Meanwhile the others still fail at once."""
    with retried.reading() as connection:
        assert not responds(retried)
        assert connection.scalar(text("SELECT 1")) == 1
    assert responds(retried)


def test_a_problem_raised_in_the_block_closes_the_breaker(retried: Database) -> None:
    """The server has responded, even if the row was not found."""
    with pytest.raises(NotFound), retried.reading():
        raise NotFound
    assert responds(retried)


def test_the_next_query_probes_when_the_connection_is_refused(retried: Database) -> None:
    """An error is known at once, unlike a timeout (R-03)."""
    with pytest.raises(DatabaseUnavailable), retried.reading() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    assert responds(retried)


def test_a_syntax_error_is_not_reported_as_an_outage(database: Database) -> None:
    """It is a 500, a bug to fix."""
    with pytest.raises(Exception, match="syntax error"), database.reading() as connection:
        connection.execute(text("SELEKT 1"))
