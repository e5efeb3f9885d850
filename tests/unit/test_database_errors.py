"""Errors of a database: those of its state become 503, those of our statements stay (R-04)."""

import sqlite3

import psycopg
import pytest
from sqlalchemy import exc

from itemsapi.db.engine import translate_errors
from itemsapi.db.ownership import explain_error
from itemsapi.db.postgres import CircuitBreaker, ServerSilent
from itemsapi.problems import DatabaseUnavailable
from support.manual_timer import ManualTimer


class DriverError(Exception):
    """An error of the driver with an SQLSTATE, as psycopg raises it."""

    def __init__(self, sqlstate: str | None) -> None:
        """Take the SQLSTATE; an error of the client has none."""
        super().__init__("first line\nsecond line")
        self.sqlstate = sqlstate


def programming_error(sqlstate: str | None) -> exc.ProgrammingError:
    """Return the error of a statement that the server rejects."""
    return exc.ProgrammingError("SELECT 1", {}, DriverError(sqlstate))


@pytest.mark.parametrize("sqlstate", ["42P01", "42501"])
def test_a_missing_table_or_permission_is_an_unavailable_database(sqlstate: str) -> None:
    """R-04: the schema is not there yet, or not for this role; the client may try again."""
    with pytest.raises(DatabaseUnavailable), translate_errors():
        raise programming_error(sqlstate)


@pytest.mark.parametrize(
    "error",
    [
        programming_error("42P01"),
        exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError("no such table: item")),
    ],
)
def test_the_cause_names_the_command_when_a_table_is_missing(error: exc.DBAPIError) -> None:
    """R-35: whoever reads the log knows what to do, on PostgreSQL and on SQLite."""
    with pytest.raises(DatabaseUnavailable) as raised, translate_errors():
        raise error
    assert raised.value.cause.endswith("; run `itemsapi [--app MODULE:APP] db upgrade`")


def test_the_cause_names_no_command_when_a_permission_is_missing() -> None:
    """The tables exist; `itemsapi db upgrade` would not help."""
    with pytest.raises(DatabaseUnavailable) as raised, translate_errors():
        raise programming_error("42501")
    assert raised.value.cause == "database: first line"


@pytest.mark.parametrize("sqlstate", ["42601", "42703", None])
def test_another_error_of_a_statement_is_not_translated(sqlstate: str | None) -> None:
    """A statement with a fault is a defect of ours, which no retry mends."""
    with pytest.raises(exc.ProgrammingError), translate_errors():
        raise programming_error(sqlstate)


@pytest.mark.parametrize("kind", [exc.IntegrityError, exc.DataError])
def test_a_violated_constraint_is_not_translated(kind: type[exc.DBAPIError]) -> None:
    """The services turn it into a conflict, or it is a defect."""
    with pytest.raises(kind), translate_errors():
        raise kind("INSERT", {}, DriverError("23505"))


@pytest.mark.parametrize(
    "error",
    [exc.OperationalError("SELECT 1", {}, DriverError("57P01")), exc.TimeoutError("pool")],
)
def test_a_broken_connection_or_a_full_pool_is_an_unavailable_database(error: Exception) -> None:
    """R-04: with the reason for the log."""
    with pytest.raises(DatabaseUnavailable) as raised, translate_errors():
        raise error
    assert raised.value.cause.startswith("database: ")


@pytest.mark.parametrize(
    ("sqlstate", "advice"),
    [
        ("3F000", "CREATE SCHEMA"),
        ("42501", "first line; let the role create tables"),
        ("42P07", "first line, made by another application"),
    ],
)
def test_a_rejected_table_is_explained(sqlstate: str, advice: str) -> None:
    """R-24: one line that says what to do."""
    conflict = explain_error(programming_error(sqlstate))
    assert advice in str(conflict)
    assert "\n" not in str(conflict)


@pytest.mark.parametrize("error", [None, ValueError(), programming_error("42601")])
def test_another_error_is_not_explained(error: Exception | None) -> None:
    """It is shown as it is."""
    assert explain_error(error) is None


def fail(breaker: CircuitBreaker, error: Exception | None) -> None:
    """Use the database once under the breaker; it fails because of an error of the driver."""
    with breaker.guard():
        if error is not None:
            failure = exc.OperationalError("SELECT 1", {}, error)
            raise DatabaseUnavailable from failure


def is_open(breaker: CircuitBreaker) -> bool:
    """Return whether the breaker rejects a use; one that it permits succeeds."""
    try:
        fail(breaker, None)
    except DatabaseUnavailable:
        return True
    return False


@pytest.fixture
def timer() -> ManualTimer:
    """The timer of a breaker."""
    return ManualTimer()


@pytest.fixture
def silent(timer: ManualTimer) -> CircuitBreaker:
    """A breaker whose server did not respond just now."""
    breaker = CircuitBreaker(monotonic=timer)
    with pytest.raises(DatabaseUnavailable):
        fail(breaker, ServerSilent("the server does not respond"))
    return breaker


def test_a_silent_server_is_left_alone_for_a_second(
    silent: CircuitBreaker, timer: ManualTimer
) -> None:
    """R-04: requests must not queue for it."""
    timer.advance(0.99)
    assert is_open(silent)
    timer.advance(0.01)
    assert not is_open(silent)


def test_a_server_that_responds_again_is_used_at_once(
    silent: CircuitBreaker, timer: ManualTimer
) -> None:
    """R-04: by all threads, from the first response on."""
    timer.advance(1)
    assert [is_open(silent), is_open(silent)] == [False, False]


def test_a_server_that_stays_silent_is_tried_once_a_second(
    silent: CircuitBreaker, timer: ManualTimer
) -> None:
    """R-04: the next attempt blocks one thread only."""
    timer.advance(1)
    with pytest.raises(DatabaseUnavailable):
        fail(silent, psycopg.errors.ConnectionTimeout("no connection"))
    assert is_open(silent)


def test_one_thread_tries_a_silent_server(silent: CircuitBreaker, timer: ManualTimer) -> None:
    """R-04: the others fail at once until it is done, or has taken longer than any timeout."""
    timer.advance(1)
    with silent.guard():
        timer.advance(4.4)
        assert is_open(silent)
        timer.advance(0.2)
        assert not is_open(silent)


def test_a_server_that_refuses_connections_is_tried_at_once(
    silent: CircuitBreaker, timer: ManualTimer
) -> None:
    """A refused connection costs no time, so the breaker need not wait."""
    timer.advance(1)
    with pytest.raises(DatabaseUnavailable):
        fail(silent, psycopg.OperationalError("connection refused"))
    assert not is_open(silent)


def test_a_broken_connection_opens_no_breaker(timer: ManualTimer) -> None:
    """Only a server that does not respond costs the time of a thread."""
    breaker = CircuitBreaker(monotonic=timer)
    with pytest.raises(DatabaseUnavailable):
        fail(breaker, psycopg.OperationalError("server closed the connection"))
    assert not is_open(breaker)


def test_an_error_of_a_statement_closes_the_breaker(
    silent: CircuitBreaker, timer: ManualTimer
) -> None:
    """It is a response too."""
    timer.advance(1)
    with pytest.raises(ZeroDivisionError), silent.guard():
        raise ZeroDivisionError
    assert [is_open(silent), is_open(silent)] == [False, False]
