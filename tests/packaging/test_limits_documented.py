"""The guide's table of pools, timeouts and limits matches the code (S-199)."""

from pathlib import Path

import pytest
from sqlalchemy import text

from itemsapi import rate_limits
from itemsapi.accounts import host_writes, passwords
from itemsapi.db import engine, postgres, postgres_connections, sqlite, writable_probe
from itemsapi.server import pool, supervisor
from itemsapi.tokens import revocation

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
VALUES = {
    "database connections per process": (
        f"{engine.POOL_SIZE}, and {engine.POOL_SIZE} more for short peaks"
    ),
    "wait for a database connection of the pool": f"{engine.POOL_TIMEOUT_SECONDS} s",
    "connect timeout of PostgreSQL": (
        f"{postgres_connections.DEFAULT_PARAMETERS['connect_timeout']} s"
    ),
    "statement and lock timeout of PostgreSQL": (
        f"{postgres_connections.SERVER_TIMEOUTS['statement_timeout']} ms"
    ),
    "idle transaction timeout of PostgreSQL": f"{postgres_connections.IDLE_TIMEOUT_MS} ms",
    "wait for a response of PostgreSQL": f"{postgres.RESPONSE_TIMEOUT_SECONDS} s",
    "wait for the check of a pooled connection": f"{postgres.PING_TIMEOUT_SECONDS} s",
    "retry of a PostgreSQL that did not respond": (
        f"after {postgres.BREAKER_SECONDS:.0f} s, by one thread"
    ),
    "busy timeout of SQLite": f"{sqlite.BUSY_TIMEOUT_SECONDS:.0f} s",
    "wait for a lock of the application, when the hash of one of its users is stored": (
        f"{host_writes.LOCK_TIMEOUT_SECONDS} s"
    ),
    "tokens are accepted without news of revocations": f"{revocation.MAX_FEED_AGE_SECONDS:.0f} s",
    "check whether the database accepts writes": (
        f"once in {writable_probe.PROBE_INTERVAL_SECONDS:.0f} s"
    ),
    "wait for a response of Redis": f"{rate_limits.REDIS_TIMEOUTS['socket_timeout']} s",
    "retry of a Redis that did not respond": f"after {rate_limits.REDIS_RETRY_SECONDS:.0f} s",
    "concurrent password hashes per process": (
        f"{passwords.MAX_CONCURRENT_HASHES}, and {passwords.MAX_WAITING_HASHES} wait"
    ),
    "wait for a password hash": f"{passwords.HASH_WAIT_SECONDS:.0f} s",
    "wait for a thread": f"{pool.THREAD_WAIT_SECONDS:.0f} s",
    "time for requests in flight after `SIGTERM`": f"{supervisor.SHUTDOWN_TIMEOUT_SECONDS} s",
}


def documented() -> dict[str, str]:
    """Return the rows of the guide's table."""
    table = GUIDE.read_text("utf-8").split("## Waits and limits")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {what: value for what, value in rows if what != "what"}


def test_the_guide_has_every_timeout_and_limit() -> None:
    """S-199: the rows are complete, and each number is the one that the code uses."""
    assert documented() == VALUES


def test_lock_and_statement_timeouts_are_equal() -> None:
    """S-199: the guide names them together."""
    assert (
        postgres_connections.SERVER_TIMEOUTS["lock_timeout"]
        == postgres_connections.SERVER_TIMEOUTS["statement_timeout"]
    )
    assert (
        rate_limits.REDIS_TIMEOUTS["socket_connect_timeout"]
        == rate_limits.REDIS_TIMEOUTS["socket_timeout"]
    )


def test_the_pool_uses_the_documented_numbers(tmp_path: Path) -> None:
    """S-199: the SQLAlchemy pool has these values, not only our constants."""
    opened = engine.Database(f"sqlite:///{tmp_path / 'itemsapi.db'}").engine.pool
    assert opened.size() == engine.POOL_SIZE  # type: ignore[attr-defined]  # a QueuePool
    assert opened._max_overflow == engine.POOL_SIZE  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
    assert opened._timeout == engine.POOL_TIMEOUT_SECONDS  # type: ignore[attr-defined]  # noqa: SLF001


@pytest.mark.postgres
@pytest.mark.parametrize("name", ["statement_timeout", "lock_timeout"])
def test_postgresql_uses_the_documented_numbers(postgres_server: str, name: str) -> None:
    """S-199: the server's session of the application has these values."""
    database = engine.Database(postgres_server)
    with database.reading() as connection:
        query = text("SELECT setting FROM pg_settings WHERE name = :name")
        setting = connection.execute(query, {"name": name}).scalar_one()
        assert int(setting) == postgres_connections.SERVER_TIMEOUTS[name]
    database.dispose()
