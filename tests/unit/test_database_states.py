"""States of a database: silent, read-only, writable again; each without a server (R-04, R-32)."""

import sqlite3
import threading
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import create_engine

from itemsapi.db import Database
from itemsapi.db import sqlite as sqlite_connections
from itemsapi.db.postgres import (
    ServerSilent,
    TimeoutConnection,
    set_ping_timeout,
    without_timeout,
)
from itemsapi.db.writable_probe import WritableProbe
from itemsapi.problems import DatabaseUnavailable

URL = "postgresql+psycopg://ada@db.example/itemsapi"

Advance = Callable[[float], None]


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Advance:
    """A monotonic clock that stands still; call it to move it."""
    reading = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: reading[0])

    def by(seconds: float) -> None:
        reading[0] += seconds

    return by


class Disk:
    """A database that accepts changes or does not; it counts the probes."""

    def __init__(self) -> None:
        """Start writable."""
        self.answers: list[bool | Exception] = [True]
        self.probes = 0
        self.renewals = 0
        self.probe = WritableProbe(self.look, self.renew)

    def look(self) -> bool:
        """Return whether the database is writable: the next answer, or the last one again."""
        self.probes += 1
        answer = self.answers[min(self.probes, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def renew(self) -> None:
        """Count the calls: connections are renewed."""
        self.renewals += 1

    def is_writable(self) -> bool:
        """Return whether the probe found the database writable."""
        try:
            self.probe.require_writable()
        except DatabaseUnavailable:
            return False
        return True


def test_a_database_is_probed_at_most_once_a_second(advance: Advance) -> None:
    """R-32: the health check has no rate limit."""
    disk, counts = Disk(), []
    for seconds in (0, 0.99, 0.01):
        advance(seconds)
        assert disk.is_writable()
        counts.append(disk.probes)
    assert counts == [1, 1, 2]


def test_connections_are_renewed_when_the_database_is_writable_again(advance: Advance) -> None:
    """R-32: once, because those opened meanwhile may be read-only."""
    disk, seen = Disk(), []
    disk.answers = [True, False, False, True, True]
    for _ in disk.answers:
        seen.append((disk.is_writable(), disk.renewals))
        advance(1)
    assert seen == [(True, 0), (False, 0), (False, 0), (True, 1), (True, 1)]


def test_a_database_is_not_writable_when_the_probe_fails(advance: Advance) -> None:
    """R-32: for a second, also for the threads that do not probe."""
    disk = Disk()
    disk.answers = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        disk.probe.require_writable()
    assert not disk.is_writable()


def test_others_do_not_wait_while_one_thread_probes() -> None:
    """R-04: they use the last result."""
    disk = Disk()
    results: list[bool] = []
    other = threading.Thread(target=lambda: results.append(disk.is_writable()))

    def look() -> bool:
        other.start()
        other.join(10)
        return False

    disk.probe = WritableProbe(look, disk.renew)
    assert not disk.is_writable()
    assert results == [True]


class Waiting(TimeoutConnection):
    """A connection that is never opened."""

    def __init__(self) -> None:
        """Remember whether it was closed."""
        self.closed_at_once: list[bool] = []
        finish: Callable[[], None] = lambda: self.closed_at_once.append(True)  # noqa: E731
        super().__init__(cast("Any", SimpleNamespace(finish=finish, _encoding="utf-8")))

    def __del__(self, *_: object) -> None:
        """Warn of nothing: there is nothing to close."""


def request() -> Generator[str, int, str]:
    """Wait for the server until something arrives."""
    while not (yield "wait"):
        pass
    return "answer"


def started(connection: Waiting) -> Generator[Any, Any, Any]:
    """Return a request that waits for the server."""
    waiting = connection._with_timeout(cast("Any", request()))  # noqa: SLF001 - psycopg's `wait` needs a socket
    next(waiting)
    return cast("Generator[Any, Any, Any]", waiting)


def test_a_request_to_a_silent_server_is_given_up_after_two_and_a_half_seconds(
    advance: Advance,
) -> None:
    """R-04: and the connection is closed, because an answer may arrive later."""
    connection = Waiting()
    waiting = started(connection)
    advance(2.5)
    waiting.send(0)
    advance(0.1)
    with pytest.raises(ServerSilent):
        waiting.send(0)
    assert connection.closed_at_once == [True]


def test_an_answer_is_accepted_however_late(advance: Advance) -> None:
    """It may arrive in the same moment as the timeout."""
    waiting = started(Waiting())
    advance(60)
    with pytest.raises(StopIteration) as stopped:
        waiting.send(1)
    assert stopped.value.value == "answer"


def test_a_migration_waits_without_a_timeout() -> None:
    """And the next request has one again."""
    driver = Waiting()
    connection: Any = SimpleNamespace(connection=SimpleNamespace(driver_connection=driver))
    with without_timeout(connection):
        assert driver.timeout_seconds == float("inf")
    assert driver.timeout_seconds == 2.5


def test_a_ping_has_half_a_second() -> None:
    """R-04: a dead connection of the pool must not cost the time of a request."""
    engine, driver, seen = create_engine(URL), Waiting(), list[float]()

    def ping(_: object) -> bool:
        seen.append(driver.timeout_seconds)
        return True

    engine.dialect.do_ping = ping  # type: ignore[assignment]  # what the driver would do
    set_ping_timeout(engine)
    assert engine.dialect.do_ping(cast("Any", driver))
    assert (seen, driver.timeout_seconds) == ([0.5], 2.5)


def test_a_postgresql_database_is_opened_with_all_its_safeguards() -> None:
    """R-04, R-32: the ping, our own connections, the isolation level, look-ups in autocommit."""
    database = Database(URL)
    engine: Any = database.engine
    assert (engine.pool._pre_ping, len(engine.dialect.dispatch.do_connect)) == (True, 1)  # noqa: SLF001
    assert engine.dialect._on_connect_isolation_level == "READ COMMITTED"  # noqa: SLF001
    assert engine.dialect.do_ping.__name__ == "ping_with_timeout"
    reading = database._read_engine  # noqa: SLF001
    assert reading.get_execution_options()["isolation_level"] == "AUTOCOMMIT"


@pytest.mark.parametrize("way", ["reading", "transaction"])
def test_a_silent_postgresql_server_is_left_alone(
    advance: Advance, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """R-04: the next use fails without an attempt to connect."""
    attempts: list[object] = []

    def connect(**_: object) -> None:
        attempts.append(1)
        raise psycopg.errors.ConnectionTimeout("no answer")

    monkeypatch.setattr(TimeoutConnection, "connect", connect)
    database = Database(URL)
    with pytest.raises(DatabaseUnavailable), database.reading():
        pass
    with pytest.raises(DatabaseUnavailable) as raised, getattr(database, way)():
        pass
    assert (len(attempts), "not tried again" in raised.value.cause) == (1, True)


@pytest.mark.parametrize(
    ("code", "is_discarded"),
    [
        (sqlite3.SQLITE_READONLY, True),
        (sqlite3.SQLITE_READONLY_DBMOVED, True),
        (sqlite3.SQLITE_BUSY, False),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, False),
        (None, False),
    ],
)
def test_a_connection_to_a_read_only_file_is_discarded(
    code: int | None, is_discarded: bool
) -> None:
    """R-32: it would never write again; one to a busy file is kept."""
    error = sqlite3.OperationalError("no")
    if code is not None:
        error.sqlite_errorcode = code
    context = SimpleNamespace(original_exception=error, is_disconnect=False)
    engine = create_engine("sqlite://")
    sqlite_connections.configure_connections(engine)
    engine.dialect.dispatch.handle_error(context)
    assert context.is_disconnect is is_discarded


@pytest.mark.parametrize(
    ("code", "is_busy"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_BUSY_RECOVERY, True),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, True),
        (sqlite3.SQLITE_IOERR, False),
    ],
)
def test_a_file_is_busy_whatever_another_process_does_with_it(code: int, is_busy: bool) -> None:
    """SQLite's extended codes say what that is."""
    error = sqlite3.OperationalError("no")
    error.sqlite_errorcode = code
    assert sqlite_connections.is_busy(error) is is_busy
