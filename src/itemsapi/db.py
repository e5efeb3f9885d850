"""Where rows live: the model base, transactions, and the schema.

`Database.transaction()` is for changes: one short transaction, committed at the end of the block.
`Database.reading()` is for look-ups: a Core connection in autocommit. Neither is held while a
password is hashed or a view works. A database that is away, locked, full or too slow surfaces as
`DatabaseUnavailable` (503), never as the driver's own error.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Row,
    Table,
    create_engine,
    exc,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from itemsapi import sqlite
from itemsapi.address import read_address
from itemsapi.cause import in_a_line
from itemsapi.connecting import ISOLATION, Pooler, open_through, parameters
from itemsapi.ownership import demand_ours, explained, relations, schema_of
from itemsapi.postgres import CONNECT_LIMIT, Fuse, patient, ping_hastily
from itemsapi.problems import DatabaseUnavailable
from itemsapi.writable import Writable

POOL = 10  # connections kept per process; as many again may be opened for a moment
NOT_PREPARED = {"42P01", "42501"}  # SQLSTATEs: no such table yet, no permission to use it

NUMBER = BigInteger().with_variant(Integer(), "sqlite")  # there only INTEGER counts up by itself
AnyRow = Row[*tuple[Any, ...]]  # a row of Core; its columns are attributes

_READ_ONLY = text("SELECT current_setting('transaction_read_only')")  # so is it on a standby

NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime to the microsecond, on databases that know time zones or do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Hand SQLite plain UTC, PostgreSQL the aware value."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return UTC whatever the database's own zone is."""
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else value.replace(tzinfo=UTC)


class Model(DeclarativeBase):
    """What every table is declared on, so that constraints have the same names everywhere."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: Moment}  # noqa: RUF012 - SQLAlchemy's own way to declare it

    @classmethod
    def core(cls) -> Table:
        """Return the plain table, for the fixed statements of hot reads."""
        table = cls.__table__
        assert isinstance(table, Table)  # noqa: S101 - narrows the type, nothing else maps here
        return table


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
        self._writable = Writable(self._probe, self.engine.dispose)
        self._guarding = Fuse().guarding if self.dialect == "postgresql" else nullcontext

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session whose changes are committed together at the end, or not at all.

        On SQLite one writer at a time goes in per process: its own busy handler starves threads
        for seconds, a lock does not. Raises `DatabaseUnavailable`.
        """
        with (
            self._guarding(),
            _translated(),
            self._one_writer(),
            Session(self._write, expire_on_commit=False) as tx,
            tx.begin(),
        ):
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection in autocommit for look-ups. Raises `DatabaseUnavailable`."""
        with self._guarding(), _translated(), self._read.connect() as connection:
            yield connection

    def take_turns(self, tx: Session, topic: int) -> None:
        """Let one transaction at a time pass here, over all processes, until it ends.

        SQLite's writers take turns anyhow; PostgreSQL has advisory locks for it.
        """
        if self.dialect == "postgresql":
            tx.execute(text("SELECT pg_advisory_xact_lock(:topic)"), {"topic": topic})

    def demand_writable(self) -> None:
        """Raise `DatabaseUnavailable` while nothing can be written; asks once a second at most."""
        self._writable.demand()

    def _probe(self) -> bool:
        """Ask whether changes are taken: not by a standby, nor on a disk that is read-only."""
        if self.dialect == "sqlite":
            return sqlite.may_write(self.engine.url.database or "")
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
        if not self._turn.acquire(timeout=sqlite.PATIENCE):
            raise DatabaseUnavailable(
                cause="database: another thread has been writing for too long"
            )
        try:
            yield
        finally:
            self._turn.release()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn "the database cannot answer" into a problem; faults of our statements stay faults."""
    try:
        yield
    except (exc.IntegrityError, exc.DataError):
        raise
    except exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) in NOT_PREPARED:
            raise DatabaseUnavailable(cause=f"database: {in_a_line(error)}") from error
        raise
    except (exc.DBAPIError, exc.TimeoutError) as error:
        raise DatabaseUnavailable(cause=f"database: {in_a_line(error)}") from error


def _engine(url: str, pooler: Pooler) -> Engine:
    address = read_address(url)
    pool: dict[str, Any] = {
        "pool_size": POOL,
        "max_overflow": POOL,
        "pool_timeout": CONNECT_LIMIT,
        "hide_parameters": True,  # an error message must not carry a row's values into a log
    }
    if address.get_backend_name() == "sqlite":
        engine = create_engine(address, connect_args=sqlite.OPTIONS, **pool)
        sqlite.tune(engine)
        return engine
    engine = create_engine(
        address,
        connect_args=parameters(address),
        isolation_level=ISOLATION,
        pool_pre_ping=True,
        **pool,
    )
    open_through(engine, address, pooler)
    ping_hastily(engine)
    return engine


MIGRATIONS = (Path(__file__).parent / "migrations", Path(__file__).parents[2] / "migrations")
SCHEMA_TOPIC = 7_200  # the advisory lock of those who migrate


class SchemaOutdated(RuntimeError):
    """The tables are missing or of another version; the message says what to do."""


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the schema to `revision`; of several starting processes one does, the others wait."""
    _migrate(database, lambda config: command.upgrade(config, revision))


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to `revision`, `base` for nothing at all."""
    _migrate(database, lambda config: command.downgrade(config, revision))


def current_revision(database: Database) -> str | None:
    """Return the revision of the schema in the database; None if it holds none.

    Raises `SchemaRefused` if the tables are somebody else's.
    """
    with _translated(), database.engine.connect() as connection:
        return _revision(connection)


def empty(database: Database) -> bool:
    """Tell whether there is no table at all, nobody's."""
    with database.reading() as connection:
        return not relations(connection)


@functools.cache
def newest_revision() -> str:
    """Return the revision that this version of the package works with; read once."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 - the package carries its migrations
    return revision


def check_schema(database: Database) -> None:
    """Raise `SchemaOutdated` unless the schema is the one this version works with."""
    found, wanted = current_revision(database), newest_revision()
    if found is None:
        raise SchemaOutdated("the database has no tables yet; run `itemsapi db upgrade`")
    if found not in _known_revisions():
        raise SchemaOutdated(f"the database is at revision {found}, of a newer itemsapi; run that")
    if found != wanted:
        raise SchemaOutdated(
            f"the database is at revision {found}, this version needs {wanted};"
            " run `itemsapi db upgrade`"
        )


@functools.cache
def _known_revisions() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(script.revision for script in scripts)


def _revision(connection: Connection) -> str | None:
    options = {"version_table_schema": schema_of(connection)}  # another one may be in sight
    revision = MigrationContext.configure(connection, opts=options).get_current_revision()
    demand_ours(connection, Model.metadata.tables.keys(), revision)
    return revision


def _config() -> Config:
    config = Config()
    place = next(folder for folder in MIGRATIONS if folder.is_dir())
    config.set_main_option("script_location", str(place).replace("%", "%%"))  # it fills in %(...)s
    return config


def _migrate(database: Database, step: Callable[[Config], None]) -> None:
    """Run a step in one transaction, one process at a time; a migration may take its time.

    Raises `SchemaRefused` before anything is changed.
    """
    config = _config()
    try:
        with database.transaction() as tx, _unhurried(database, tx):
            database.take_turns(tx, SCHEMA_TOPIC)
            _revision(tx.connection())
            config.attributes["connection"] = tx.connection()
            step(config)
    except exc.ProgrammingError as error:
        raise explained(error) or error from error
    except DatabaseUnavailable as error:
        raise explained(error.__cause__) or error from error.__cause__


@contextmanager
def _unhurried(database: Database, tx: Session) -> Iterator[None]:
    if database.dialect != "postgresql":
        yield
        return
    tx.execute(text("SET LOCAL statement_timeout = 0"))
    tx.execute(text("SET LOCAL lock_timeout = '30s'"))
    tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    with patient(tx.connection()):
        yield
