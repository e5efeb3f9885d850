"""The database engine: transactions for changes, connections for look-ups.

`Database.transaction()` is for changes: one short transaction, committed at the end of the block.
`Database.reading()` is for look-ups: a Core connection in autocommit. `Database.fetch()` is for
those of most requests, whose statement never changes. None stays open while a password is hashed or
a view runs. If the database is unavailable, locked, full or too slow,
`DatabaseUnavailable` (503) is raised, never the driver's own error.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, text
from sqlalchemy.orm import Session, scoped_session

from itemsapi.clock import Timer
from itemsapi.command_line import command_line
from itemsapi.db import sqlite
from itemsapi.db.host_commit import Change, change_before_commit
from itemsapi.db.identity import DatabaseIdentity
from itemsapi.db.joined_transaction import (
    HostConnection,
    actions_after_commit,
    begin_to_join,
    is_flushing,
    join_transaction,
    require_read_committed,
)
from itemsapi.db.lookup import Fetch, Lookup, Parameters, Rows, SqliteReader, use_driver
from itemsapi.db.url import parse_database_url
from itemsapi.db.user_set import UserSet
from itemsapi.db.writable_probe import WritableProbe
from itemsapi.observability.logging import summarize_error
from itemsapi.problems import DatabaseUnavailable

if TYPE_CHECKING:
    from itemsapi.db.postgres_connections import Pooler  # with psycopg, an extra

POOL_SIZE = 10  # connections per process; as many again may be opened under load
POOL_TIMEOUT_SECONDS = 2  # to get a connection from the pool
TABLE_MISSING = "42P01"
JOIN: Final = "rollback_only"  # the session commits nothing itself
SCHEMA_ERRORS = {TABLE_MISSING, "42501"}  # SQLSTATEs; the other one is: permission denied

_READ_ONLY = text("SELECT current_setting('transaction_read_only')")  # `on` for a standby too

Item = TypeVar("Item")


class Database:
    """One database and its connection pool."""

    def __init__(  # noqa: PLR0913 - the options of a database
        self,
        url: str,
        *,
        pooler: "Pooler" = "auto",
        migrations: Path | None = None,
        items: bool = True,
        users: str | None = None,
        monotonic: Timer = time.monotonic,
    ) -> None:
        """Create the engine; open no connection yet. Raise `SettingsError` for an invalid URL.

        `migrations` is the folder with the migrations of the blueprints, if they have any. `items`
        tells whether the application has the Items API, and so its tables. `users` is the name of
        the users that the database has to be for.
        """
        self.migrations, self.items, self.user_set = migrations, items, UserSet(users)
        self.engine = _engine(url, pooler)
        self.dialect = self.engine.dialect.name
        self._write_engine = self.engine.execution_options()  # it has listeners of its own
        begin, begin_migration, self._guard = _dialect_functions(self.dialect, monotonic)
        event.listen(self._write_engine, "begin", begin)
        self._migration_engine = self.engine.execution_options()
        event.listen(self._migration_engine, "begin", begin_migration)
        self._read_engine = (
            self.engine
            if self.dialect == "sqlite"
            else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._sqlite_reader = SqliteReader(self.engine) if self.dialect == "sqlite" else None
        self._writer_lock = threading.Lock()
        self._identity = DatabaseIdentity(self.engine, self.reading)
        self._writable_probe = WritableProbe(self._is_writable, self.dispose)

    def transaction(
        self, *, connection: HostConnection | None = None
    ) -> AbstractContextManager[Session]:
        """Return a block that yields a session; it commits at its end, or rolls back on an error.

        With `connection`, a `Connection` or `Session` of the application on this database, it joins
        that transaction instead: what is written is committed or rolled back with it.

        On SQLite a lock admits one writer at a time per process: SQLite's own busy handler can
        starve threads for seconds, a lock does not. Raise `DatabaseUnavailable`.
        """
        if connection is None:
            return self._own_transaction()
        return self._joined_transaction(connection)

    @contextmanager
    def _own_transaction(self) -> Iterator[Session]:
        with self._transaction(self._write_engine) as (tx, connection):
            self.user_set.require(connection)
            use_driver(tx, connection)
            yield tx

    @contextmanager
    def _migration(self) -> Iterator[Session]:
        """Open a transaction in which SQLite does not enforce references between tables."""
        with self._transaction(self._migration_engine) as (tx, _):
            yield tx

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[tuple[Session, Connection]]:
        """Open a transaction of a connection, with a session that begins at its first use.

        A transaction of look-ups needs no session, and to begin one takes as long as five of them.
        """
        with (
            self._guard(),
            translate_errors(),
            self._one_writer(),
            engine.connect() as connection,
            connection.begin(),
            Session(connection, expire_on_commit=False, join_transaction_mode=JOIN) as tx,
        ):
            actions = actions_after_commit(tx)
            yield tx, connection
            if tx.in_transaction():
                tx.commit()  # writes what was added; the connection commits
        for action in actions:
            action()

    @contextmanager
    def _joined_transaction(self, connection: HostConnection) -> Iterator[Session]:
        with translate_errors(), join_transaction(connection, self._identity) as tx:
            self.user_set.require(tx.connection())
            yield tx

    def change_before_commit(
        self,
        apply: Callable[[Session, list[Item]], None],
        item: Item,
        connection: HostConnection | None = None,
    ) -> None:
        """Call `apply(tx, [item])` in a transaction; with `connection`, in that, before its commit.

        Then `apply` is called once with the items of all calls in that transaction. So it can take
        its locks in one order, and nobody waits for them until the application commits. On SQLite
        it is called at once, because the application has the only write lock already; but not
        while a session is flushing, whose changes may not be written yet.

        Raise `DatabaseUnavailable`, and `ValueError` as for `transaction` and for a transaction on
        PostgreSQL that reads from a snapshot.
        """
        is_sqlite = self.dialect == "sqlite"
        if connection is None or (is_sqlite and not is_flushing(connection)):
            if isinstance(connection, Session | scoped_session):
                connection.flush()
            with self.transaction(connection=connection) as tx:
                apply(tx, [item])
            return
        with translate_errors():
            outer = begin_to_join(connection, self._identity)
            if not is_sqlite:
                require_read_committed(outer)
        change_before_commit(outer, Change(self._joined_transaction, apply, item))

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a block that yields a connection in autocommit mode, for look-ups.

        Raise `DatabaseUnavailable`.
        """
        return self._reading()

    def fetch(self, lookup: Lookup, params: Parameters) -> Rows:
        """Return the rows of a look-up. Raise `DatabaseUnavailable`."""
        if self._sqlite_reader and self.user_set.is_confirmed:
            try:
                return self._sqlite_reader.run(lookup, params)
            except (sqlite3.Error, exc.SQLAlchemyError):
                pass  # tried once more below, on a new connection; an error is reported from there
        with self.reading() as connection:
            return connection.execute(lookup.statement, params).all()

    @contextmanager
    def fetching(self) -> Iterator[Fetch]:
        """Yield what runs the look-ups of one answer, on one connection of PostgreSQL.

        There the pool asks the server before each use whether a connection still works.
        """
        if self.dialect == "sqlite":
            yield self.fetch
            return
        with self.reading() as connection:
            yield lambda lookup, params: connection.execute(lookup.statement, params).all()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._guard(), translate_errors(), self._read_engine.connect() as connection:
            self.user_set.require(connection)
            yield connection

    def advisory_lock(self, tx: Session, lock_id: int) -> None:
        """Lock `lock_id` until the transaction ends, against transactions of all processes.

        PostgreSQL has advisory locks for this. SQLite needs none: it has one writer at a time.
        """
        if self.dialect == "postgresql":
            tx.execute(text("SELECT pg_advisory_xact_lock(:lock_id)"), {"lock_id": lock_id})

    def require_writable(self) -> None:
        """Raise `DatabaseUnavailable` unless changes are accepted; query at most once a second."""
        self._writable_probe.require_writable()

    def _is_writable(self) -> bool:
        """Return whether the database accepts changes: a standby or a read-only disk does not."""
        if self.dialect == "sqlite":
            return sqlite.is_writable(self.engine.url.database or "")
        with self.reading() as connection:
            return bool(connection.scalar(_READ_ONLY) == "off")

    def dispose(self) -> None:
        """Close every connection; those in use now, when they are no longer used."""
        if self._sqlite_reader:
            self._sqlite_reader.close()
        self.engine.dispose()

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        if self.dialect != "sqlite":
            yield
            return
        if not self._writer_lock.acquire(timeout=sqlite.BUSY_TIMEOUT_SECONDS):
            raise DatabaseUnavailable(cause=f"database: {sqlite.BUSY_ADVICE}")
        try:
            yield
        finally:
            self._writer_lock.release()


@contextmanager
def translate_errors(subject: str = "database", *, if_table_is_missing: str = "") -> Iterator[None]:
    """Raise `DatabaseUnavailable` if the database fails; let errors of our statements pass.

    The cause begins with `subject`, and says what to do if a table is missing or SQLite is locked.
    """
    try:
        yield
    except (exc.IntegrityError, exc.DataError, sqlite3.IntegrityError, sqlite3.DataError):
        raise
    except exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) in SCHEMA_ERRORS:
            raise DatabaseUnavailable(cause=_cause(error, subject, if_table_is_missing)) from error
        raise
    except (exc.OperationalError, sqlite3.Error) as error:
        if sqlite.is_statement_error(getattr(error, "orig", error)):
            raise
        raise DatabaseUnavailable(cause=_cause(error, subject, if_table_is_missing)) from error
    except (exc.DBAPIError, exc.TimeoutError) as error:
        raise DatabaseUnavailable(cause=_cause(error, subject, if_table_is_missing)) from error


def _cause(error: Exception, subject: str, if_table_is_missing: str) -> str:
    """Return what failed, and what to do if a table or file is missing, or SQLite is locked."""
    message, advice = summarize_error(error), []
    if _is_table_missing(error, message):
        advice.append(if_table_is_missing or f"run {command_line('db upgrade')}")
    if sqlite.is_busy(error):
        advice.append(sqlite.BUSY_ADVICE)
    if isinstance(error.__cause__, sqlite.FolderMissing):
        advice.append(f"make it, and run {command_line('db upgrade')}")
    if sqlite.cannot_open(error):
        advice.append(sqlite.CANNOT_OPEN_ADVICE)
    return "; ".join([f"{subject}: {message}", *advice])


def _is_table_missing(error: Exception, message: str) -> bool:
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None)
    return sqlstate == TABLE_MISSING or sqlite.TABLE_MISSING in message


Begin = Callable[[Connection], None]
Guard = Callable[[], AbstractContextManager[None]]


def _dialect_functions(dialect: str, monotonic: Timer) -> tuple[Begin, Begin, Guard]:
    """Return what to call when a change or a migration begins, and the guard of all accesses."""
    if dialect == "sqlite":
        return sqlite.take_write_lock, sqlite.begin_migration, nullcontext
    from itemsapi.db.postgres import CircuitBreaker  # noqa: PLC0415
    from itemsapi.db.postgres_connections import set_timeouts  # noqa: PLC0415 - it imports an extra

    return set_timeouts, set_timeouts, CircuitBreaker(monotonic).guard


def _engine(url: str, pooler: "Pooler") -> Engine:
    parsed_url = parse_database_url(url)
    pool: dict[str, Any] = {
        "pool_size": POOL_SIZE,
        "max_overflow": POOL_SIZE,
        "pool_timeout": POOL_TIMEOUT_SECONDS,
        "hide_parameters": True,  # an error message must not put values of rows into a log
    }
    if parsed_url.get_backend_name() == "sqlite":
        engine = create_engine(parsed_url, connect_args=sqlite.CONNECT_ARGS, **pool)
        sqlite.configure_connections(engine)
        return engine
    return _postgres_engine(parsed_url, pooler, pool)


def _postgres_engine(parsed_url: URL, pooler: "Pooler", pool: dict[str, Any]) -> Engine:
    from itemsapi.db import postgres, postgres_connections  # noqa: PLC0415 - they import an extra

    engine = create_engine(
        parsed_url,
        connect_args=postgres_connections.connection_parameters(parsed_url),
        isolation_level=postgres_connections.ISOLATION_LEVEL,
        pool_pre_ping=True,
        **pool,
    )
    postgres_connections.configure_connections(engine, parsed_url, pooler)
    postgres.set_ping_timeout(engine)
    return engine
