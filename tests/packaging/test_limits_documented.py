"""What the guide says about pools, waits and limits is what the code does (S-199)."""

from pathlib import Path

import pytest

from itemsapi import rate_limits
from itemsapi.accounts import passwords
from itemsapi.db import connections, engine, postgres, sqlite, writable
from itemsapi.server import pool, supervisor
from itemsapi.tokens import revocation

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
VALUES = {
    "database connections per process": (
        f"{engine.POOL_SIZE}, and {engine.POOL_SIZE} more for short peaks"
    ),
    "wait for a database connection of the pool": f"{postgres.CONNECT_TIMEOUT_SECONDS} s",
    "connect timeout of PostgreSQL": f"{connections.DEFAULT_PARAMETERS['connect_timeout']} s",
    "statement and lock timeout of PostgreSQL": f"{connections.SERVER_TIMEOUTS['statement_timeout']} ms",
    "idle transaction timeout of PostgreSQL": f"{connections.IDLE_TIMEOUT_MS} ms",
    "wait for a response of PostgreSQL": f"{postgres.RESPONSE_TIMEOUT_SECONDS} s",
    "wait for the check of a pooled connection": f"{postgres.PING_TIMEOUT_SECONDS} s",
    "retry of a PostgreSQL that did not respond": (
        f"after {postgres.BREAKER_SECONDS:.0f} s, by one thread"
    ),
    "busy timeout of SQLite": f"{sqlite.BUSY_TIMEOUT_SECONDS:.0f} s",
    "tokens are accepted without news of revocations": f"{revocation.MAX_FEED_AGE_SECONDS:.0f} s",
    "check whether the database accepts writes": f"once in {writable.PROBE_INTERVAL_SECONDS:.0f} s",
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


def test_every_wait_and_limit_is_in_the_guide_as_it_is() -> None:
    """S-199: no row more or less, and each number is the one that the code uses."""
    assert documented() == VALUES


def test_all_waits_for_a_lock_and_a_statement_are_one_number() -> None:
    """S-199: the guide names them together."""
    assert (
        connections.SERVER_TIMEOUTS["lock_timeout"]
        == connections.SERVER_TIMEOUTS["statement_timeout"]
    )
    assert (
        rate_limits.REDIS_TIMEOUTS["socket_connect_timeout"]
        == rate_limits.REDIS_TIMEOUTS["socket_timeout"]
    )


def test_the_pool_is_opened_with_these_numbers(tmp_path: Path) -> None:
    """S-199: what SQLAlchemy was told, not only what a constant says."""
    opened = engine.Database(f"sqlite:///{tmp_path / 'itemsapi.db'}").engine.pool
    assert opened.size() == engine.POOL_SIZE  # type: ignore[attr-defined]  # a QueuePool
    assert opened._max_overflow == engine.POOL_SIZE  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
    assert opened._timeout == postgres.CONNECT_TIMEOUT_SECONDS  # type: ignore[attr-defined]  # noqa: SLF001


@pytest.mark.parametrize("name", ["statement_timeout", "lock_timeout"])
def test_postgresql_knows_these_numbers(postgres_server: str, name: str) -> None:
    """S-199: asked of the server, in the session that the application gets."""
    database = engine.Database(postgres_server)
    with database.reading() as connection:
        said = connection.exec_driver_sql(f"SELECT setting FROM pg_settings WHERE name = '{name}'")  # noqa: S608 - one of the two above
        assert int(said.scalar_one()) == connections.SERVER_TIMEOUTS[name]
    database.dispose()
