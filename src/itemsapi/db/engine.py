"""Where rows live: the model base, transactions, and the schema.

`Database.transaction()` is for changes: one short transaction, committed at the end of the block.
`Database.reading()` is for look-ups: a Core connection in autocommit. Neither is held while a
password is hashed or a view works. A database that is away, locked, full or too slow surfaces as
`DatabaseUnavailable` (503), never as the driver's own error.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, exc, text
from sqlalchemy.orm import Session

from itemsapi.db import sqlite
from itemsapi.db.connections import (
    ISOLATION_LEVEL,
    Pooler,
    configure_connections,
    connection_parameters,
)
from itemsapi.db.postgres import CONNECT_TIMEOUT_SECONDS, CircuitBreaker, set_ping_timeout
from itemsapi.db.url import parse_database_url
from itemsapi.db.writable import WritableProbe
from itemsapi.observability.causes import summarize_error
from itemsapi.problems import DatabaseUnavailable

POOL_SIZE = 10  # connections kept per process; as many again may be opened for a moment
SCHEMA_ERRORS = {"42P01", "42501"}  # SQLSTATEs: no such table yet, no permission to use it

_READ_ONLY = text("SELECT current_setting('transaction_read_only')")  # so is it on a standby


class Database:
    """One database, its pool, and the two ways to it."""

    def __init__(self, url: str, *, pooler: Pooler = "auto") -> None:
        """Prepare the engine; nothing is opened yet. Raises `SettingsError`."""
        self.engine = _engine(url, pooler)
        self.dialect = self.engine.dialect.name
        self._write = self.engine.execution_options(itemsapi_writing=True)
        self._read = (
            self.engine
            if self.dialect == "sqlite"
            else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._turn = threading.Lock()
        self._writable = WritableProbe(self._probe, self.engine.dispose)
        self._guarding = CircuitBreaker().guard if self.dialect == "postgresql" else nullcontext

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session whose changes are committed together at the end, or not at all.

        On SQLite one writer at a time goes in per process: its own busy handler starves threads
        for seconds, a lock does not. Raises `DatabaseUnavailable`.
        """
        with (
            self._guarding(),
            translate_errors(),
            self._one_writer(),
            Session(self._write, expire_on_commit=False) as tx,
            tx.begin(),
        ):
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection in autocommit for look-ups. Raises `DatabaseUnavailable`."""
        with self._guarding(), translate_errors(), self._read.connect() as connection:
            yield connection

    def advisory_lock(self, tx: Session, topic: int) -> None:
        """Let one transaction at a time pass here, over all processes, until it ends.

        SQLite's writers take turns anyhow; PostgreSQL has advisory locks for it.
        """
        if self.dialect == "postgresql":
            tx.execute(text("SELECT pg_advisory_xact_lock(:topic)"), {"topic": topic})

    def require_writable(self) -> None:
        """Raise `DatabaseUnavailable` while nothing can be written; asks once a second at most."""
        self._writable.require_writable()

    def _probe(self) -> bool:
        """Ask whether changes are taken: not by a standby, nor on a disk that is read-only."""
        if self.dialect == "sqlite":
            return sqlite.is_writable(self.engine.url.database or "")
        with self.reading() as connection:
            return bool(connection.scalar(_READ_ONLY) == "off")

    def dispose(self) -> None:
        """Close every connection of the pool."""
        self.engine.dispose()

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        if self.dialect != "sqlite":
            yield
            return
        if not self._turn.acquire(timeout=sqlite.BUSY_TIMEOUT_SECONDS):
            raise DatabaseUnavailable(
                cause="database: another thread has been writing for too long"
            )
        try:
            yield
        finally:
            self._turn.release()


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn "the database cannot answer" into a problem; faults of our statements stay faults."""
    try:
        yield
    except (exc.IntegrityError, exc.DataError):
        raise
    except exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) in SCHEMA_ERRORS:
            raise DatabaseUnavailable(cause=f"database: {summarize_error(error)}") from error
        raise
    except (exc.DBAPIError, exc.TimeoutError) as error:
        raise DatabaseUnavailable(cause=f"database: {summarize_error(error)}") from error


def _engine(url: str, pooler: Pooler) -> Engine:
    address = parse_database_url(url)
    pool: dict[str, Any] = {
        "pool_size": POOL_SIZE,
        "max_overflow": POOL_SIZE,
        "pool_timeout": CONNECT_TIMEOUT_SECONDS,
        "hide_parameters": True,  # an error message must not carry a row's values into a log
    }
    if address.get_backend_name() == "sqlite":
        engine = create_engine(address, connect_args=sqlite.CONNECT_ARGS, **pool)
        sqlite.configure_connections(engine)
        return engine
    engine = create_engine(
        address,
        connect_args=connection_parameters(address),
        isolation_level=ISOLATION_LEVEL,
        pool_pre_ping=True,
        **pool,
    )
    configure_connections(engine, address, pooler)
    set_ping_timeout(engine)
    return engine
