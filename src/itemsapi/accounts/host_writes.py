"""Host writes: transactions on the database of an application, which wait for a lock or do not.

A request of the application may have the lock itself, in a session that it commits later: then
waiting is in vain, and on PostgreSQL has no end by default.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

LOCK_TIMEOUT_SECONDS = 5  # of a write that waits; on SQLite it is that of the application's engine
_LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', :timeout, true)")  # in this transaction


@contextmanager
def writing(engine: Engine, *, waits: bool) -> Iterator[Connection]:
    """Yield a connection in a transaction, which commits at the end of the block.

    If it does not wait, a lock that somebody else has is an `OperationalError` at once.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite" and not waits:
            with _without_busy_timeout(connection), connection.begin():
                yield connection
            return
        with connection.begin():
            if engine.dialect.name == "postgresql":
                timeout = f"{LOCK_TIMEOUT_SECONDS}s" if waits else "1ms"
                connection.execute(_LOCK_TIMEOUT, {"timeout": timeout})
            yield connection


@contextmanager
def _without_busy_timeout(connection: Connection) -> Iterator[None]:
    """Let SQLite not wait for its one lock; the pool gets the connection back as it was."""
    cursor = connection.connection.cursor()  # SQLAlchemy would begin, which may take the lock
    cursor.execute("PRAGMA busy_timeout")
    (before,) = cursor.fetchone() or (0,)
    cursor.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {int(before)}")
        cursor.close()
