"""What every connection is told, so that nothing is lost, told or waited for (R-04, S-150)."""

from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from itemsapi import db
from itemsapi.db import Database
from itemsapi.db.postgres import TimeoutConnection
from itemsapi.problems import DatabaseUnavailable

SECRET = "what-nobody-may-read"
UNLIMITED = ("0", "30s", "0")


def shown(connection: Any, name: str) -> str:
    """Return a setting of a PostgreSQL session."""
    return str(connection.execute(text(f"SHOW {name}")).scalar())


@pytest.fixture
def postgresql(database: Database) -> Database:
    """A database, where it is PostgreSQL."""
    if database.dialect != "postgresql":
        pytest.skip("of PostgreSQL")
    return database


def test_no_value_stands_in_an_error_of_a_statement(database: Database) -> None:
    """A log line would carry it (S-150)."""
    statement = text("SELECT :secret FROM nowhere")
    with pytest.raises(DatabaseUnavailable) as refused, database.reading() as connection:
        connection.execute(statement, {"secret": SECRET})
    assert "nowhere" in str(refused.value.__cause__)
    assert SECRET not in str(refused.value.__cause__)


def test_a_commit_is_on_the_disk_before_it_is_acknowledged(database: Database) -> None:
    """In the log of SQLite, NORMAL would lose the last ones with the power."""
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
def test_the_server_ends_what_takes_too_long(postgresql: Database, name: str, limit: str) -> None:
    """Whatever its own defaults are."""
    with postgresql.reading() as connection:
        assert shown(connection, name) == limit


def test_a_kept_connection_is_asked_for_a_moment_only(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a second, and not the limit of a statement, is what a dead one costs."""
    patience: list[float] = []
    wait = TimeoutConnection.wait

    def watching(self: TimeoutConnection, *args: Any, **options: Any) -> Any:
        patience.append(self.timeout_seconds)
        return wait(self, *args, **options)

    for _ in range(2):  # the second time it comes from the pool
        monkeypatch.setattr(TimeoutConnection, "wait", watching)
        patience.clear()
        with postgresql.reading():
            pass
    assert patience[0] == 0.5


def test_a_migration_may_take_its_time(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the server nor the client ends its statements after two seconds."""
    seen: list[tuple[tuple[str, ...], float]] = []

    def look(config: Any, _revision: str) -> None:
        connection = config.attributes["connection"]
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        limits = tuple(shown(connection, name) for name in names)
        seen.append((limits, connection.connection.driver_connection.timeout_seconds))

    monkeypatch.setattr(command, "upgrade", look)
    db.upgrade(postgresql)
    assert seen == [(UNLIMITED, float("inf"))]
