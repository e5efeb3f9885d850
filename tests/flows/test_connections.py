"""Every database connection: durability, timeouts, no values in errors (R-04, S-150)."""

from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from itemsapi import db
from itemsapi.db import Database
from itemsapi.db.postgres import TimeoutConnection
from itemsapi.problems import DatabaseUnavailable

SECRET = "a-secret-value"
UNLIMITED = ("0", "30s", "0")


def read_setting(connection: Any, name: str) -> str:
    """Return a setting of a PostgreSQL session."""
    return str(connection.execute(text(f"SHOW {name}")).scalar())


@pytest.fixture
def postgresql(database: Database) -> Database:
    """The database, if it is PostgreSQL."""
    if database.dialect != "postgresql":
        pytest.skip("of PostgreSQL")
    return database


def test_a_statement_error_contains_no_bound_values(database: Database) -> None:
    """It would get into a log line (S-150)."""
    statement = text("SELECT :secret FROM nowhere")
    with pytest.raises(DatabaseUnavailable) as error, database.reading() as connection:
        connection.execute(statement, {"secret": SECRET})
    assert "nowhere" in str(error.value.__cause__)
    assert SECRET not in str(error.value.__cause__)


def test_sqlite_syncs_every_commit_to_disk(database: Database) -> None:
    """With NORMAL in WAL mode, a power failure would lose the last commits."""
    if database.dialect != "sqlite":
        pytest.skip("of SQLite; PostgreSQL does so unless its operator says otherwise")
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("statement_timeout", "2s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ],
)
def test_the_server_has_time_limits_for_statements_locks_and_idle_transactions(
    postgresql: Database, name: str, limit: str
) -> None:
    """Whatever its defaults."""
    with postgresql.reading() as connection:
        assert read_setting(connection, name) == limit


def test_a_pooled_connection_is_probed_with_a_short_timeout(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead one costs half a second, not the timeout of a statement."""
    timeouts: list[float] = []
    wait = TimeoutConnection.wait

    def record_timeout(self: TimeoutConnection, *args: Any, **options: Any) -> Any:
        timeouts.append(self.timeout_seconds)
        return wait(self, *args, **options)

    for _ in range(2):  # the second time it comes from the pool
        monkeypatch.setattr(TimeoutConnection, "wait", record_timeout)
        timeouts.clear()
        with postgresql.reading():
            pass
    assert timeouts[0] == 0.5


def test_a_migration_has_no_timeouts(postgresql: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of the server nor of the client."""
    seen: list[tuple[tuple[str, ...], float]] = []

    def record_limits(config: Any, _revision: str) -> None:
        connection = config.attributes["connection"]
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        limits = tuple(read_setting(connection, name) for name in names)
        seen.append((limits, connection.connection.driver_connection.timeout_seconds))

    monkeypatch.setattr(command, "upgrade", record_limits)
    db.upgrade(postgresql)
    assert set(seen) == {(UNLIMITED, float("inf"))}
