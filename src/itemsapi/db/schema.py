"""The schema of the database: bring its tables to the revision that this version needs."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from sqlalchemy import Connection, exc, text
from sqlalchemy.orm import Session

from itemsapi.db.engine import Database, translate_errors
from itemsapi.db.migrations import (
    MigrationFailed,
    Migrations,
    blueprint_migrations,
    layer_migrations,
)
from itemsapi.db.ownership import (
    explain_error,
    relation_names,
    require_own_schema,
    sqlstate,
)
from itemsapi.db.sqlite import MIGRATION_TIMEOUT_SECONDS, is_busy
from itemsapi.db.types import Model
from itemsapi.problems import DatabaseUnavailable

SCHEMA_LOCK_ID = 7_200  # of the advisory lock around migrations
LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE

_CHANGES = text("SELECT total_changes()")  # rows that the connection changed


class SchemaOutdated(RuntimeError):
    """The tables are missing or have another revision; the message says what to do."""


def upgrade(database: Database, revision: str | None = None) -> None:
    """Upgrade the layer's tables to `revision`; of several processes one does, the others wait.

    Without a revision, upgrade to the newest, and then the tables of the blueprints too.
    """
    _require_folder(database)
    with migrating(database) as connection:
        command.upgrade(layer_migrations().config(connection), revision or "head")
        if revision is None:
            _upgrade_blueprints(database, connection, "head")


def upgrade_blueprints(database: Database, revision: str) -> None:
    """Upgrade the tables of the blueprints to `revision`."""
    with migrating(database) as connection:
        _upgrade_blueprints(database, connection, revision)


def _upgrade_blueprints(database: Database, connection: Connection, revision: str) -> None:
    if migrations := blueprint_migrations(database):
        _require_known(migrations, connection)
        if migrations.newest():
            migrations.run(command.upgrade, connection, revision)


def downgrade(database: Database, revision: str) -> None:
    """Downgrade the layer's tables to `revision`; `base` drops them all."""
    _require_folder(database)
    with migrating(database) as connection:
        command.downgrade(layer_migrations().config(connection), revision)


def downgrade_blueprints(database: Database, revision: str) -> None:
    """Downgrade the tables of the blueprints to `revision`; `base` undoes all their migrations."""
    migrations = blueprint_migrations(database)
    with migrating(database) as connection:
        if migrations:
            _require_known(migrations, connection)
            if migrations.newest():
                migrations.run(command.downgrade, connection, revision)


def _require_folder(database: Database) -> None:
    """Raise `MigrationFailed` before anything is changed if the blueprints' cannot be read."""
    if migrations := blueprint_migrations(database):
        migrations.newest()


def current_revision(database: Database) -> str | None:
    """Return the revision of the schema in the database; None if it has none.

    Raise `SchemaConflict` if the tables belong to another application.
    """
    with translate_errors(), database.engine.connect() as connection:
        return _revision(connection)


def blueprint_revisions(database: Database) -> tuple[str | None, str | None] | None:
    """Return the revision of the blueprints' tables in the database and the newest in the folder.

    None without `ITEMSAPI_MIGRATIONS`.
    """
    migrations = blueprint_migrations(database)
    if migrations is None:
        return None
    newest = migrations.newest()
    with translate_errors(), database.engine.connect() as connection:
        return migrations.current(connection), newest


def is_empty(database: Database) -> bool:
    """Return whether the schema has no table or view at all."""
    with database.reading() as connection:
        return not relation_names(connection)


@functools.cache
def newest_revision() -> str:
    """Return the newest revision of this version of the package; it is read once."""
    revision = layer_migrations().newest()
    assert revision is not None  # noqa: S101 - the package carries its migrations
    return revision


def check_schema(database: Database) -> None:
    """Raise `SchemaOutdated` unless the tables have the newest revisions."""
    current, newest = current_revision(database), newest_revision()
    if current is None:
        raise SchemaOutdated("the database has no tables yet; run `itemsapi db upgrade`")
    if current not in _known_revisions():
        raise SchemaOutdated(
            f"the database is at revision {current}, of a newer itemsapi; run that"
        )
    if current != newest:
        raise SchemaOutdated(
            f"the database is at revision {current}, this version needs {newest};"
            " run `itemsapi db upgrade`"
        )
    if migrations := blueprint_migrations(database):
        with translate_errors(), database.engine.connect() as connection:
            require_newest(migrations, connection)


def require_newest(migrations: Migrations, connection: Connection) -> None:
    """Raise `SchemaOutdated` unless the tables of the blueprints have the newest revision."""
    newest, current = migrations.newest(), _require_known(migrations, connection)
    if current != newest:
        words = f"the tables of the blueprints are at revision {current or 'base'}"
        raise SchemaOutdated(
            f"{words}, {migrations.folder} has {newest}; run `itemsapi db upgrade`"
        )


def _require_known(migrations: Migrations, connection: Connection) -> str | None:
    """Return the revision of the blueprints' tables. Raise `SchemaOutdated` if no file has it."""
    migrations.newest()
    current = migrations.current(connection)
    if current is not None and current not in migrations.known():
        words = f"the tables of the blueprints are at revision {current}"
        raise SchemaOutdated(f"{words}, which is not in {migrations.folder}; use its newest files")
    return current


@functools.cache
def _known_revisions() -> frozenset[str]:
    return layer_migrations().known()


def _revision(connection: Connection) -> str | None:
    revision = layer_migrations().current(connection)
    require_own_schema(connection, Model.metadata.tables.keys(), revision)
    return revision


@contextmanager
def migrating(database: Database) -> Iterator[Connection]:
    """Yield a connection for migrations: no time limits, one transaction, one process at a time.

    The others wait up to ten minutes. Raise `SchemaConflict` before anything is changed, and
    `MigrationFailed` if another process does not finish.
    """
    try:
        with database.transaction(migrating=True) as tx, _without_timeouts(database, tx):
            connection = tx.connection()
            _revision(connection)
            with _closed_on_error(tx), _references_checked(connection):
                yield connection
    except (exc.ProgrammingError, exc.OperationalError) as error:
        raise explain_error(error) or error from error
    except DatabaseUnavailable as error:
        if is_busy(error.__cause__) or sqlstate(error.__cause__) == LOCK_NOT_AVAILABLE:
            words = "another process has locked the database; another migration may be running"
            raise MigrationFailed(f"{words}: try again later") from error
        raise explain_error(error.__cause__) or error from error.__cause__


@contextmanager
def _closed_on_error(tx: Session) -> Iterator[None]:
    """Close the connection on an error, which rolls back.

    SQLAlchemy cannot roll back after a migration tried to end the transaction itself.
    """
    driver_connection = tx.connection().connection.dbapi_connection
    try:
        yield
    except BaseException:
        if driver_connection is not None:
            driver_connection.close()
        tx.invalidate()
        raise


@contextmanager
def _references_checked(connection: Connection) -> Iterator[None]:
    """Raise `MigrationFailed` if changes in the block leave references to missing rows in SQLite.

    SQLite does not enforce references during a migration, see `begin_migration`.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    changes = connection.scalar(_CHANGES)
    yield
    if connection.scalar(_CHANGES) == changes:
        return  # the check reads all tables, and `itemsapi serve` runs this at each start
    if violation := connection.execute(text("PRAGMA foreign_key_check")).first():
        words = f"after the migration, rows of `{violation.table}` refer to missing rows"
        raise MigrationFailed(f"{words} of `{violation.parent}`; nothing was changed")


@contextmanager
def _without_timeouts(database: Database, tx: Session) -> Iterator[None]:
    if database.dialect != "postgresql":
        yield
        return
    from itemsapi.db.postgres import without_timeout  # noqa: PLC0415 - it imports an extra

    tx.execute(text("SET LOCAL statement_timeout = 0"))
    tx.execute(text(f"SET LOCAL lock_timeout = '{MIGRATION_TIMEOUT_SECONDS}s'"))
    tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    with without_timeout(tx.connection()):
        database.advisory_lock(tx, SCHEMA_LOCK_ID)
        tx.execute(text("SET LOCAL lock_timeout = '30s'"))  # others wait behind a waiting migration
        yield
