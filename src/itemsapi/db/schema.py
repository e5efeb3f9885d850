"""The schema of the database: bring its tables to the revision that this version needs."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, exc, text
from sqlalchemy.orm import Session

from itemsapi.command_line import command_line
from itemsapi.db.engine import Database, translate_errors
from itemsapi.db.migrations import (
    Migrations,
    blueprint_migrations,
    item_migrations,
    layer_migrations,
    own_migrations,
)
from itemsapi.db.ownership import (
    Owner,
    explain_error,
    require_own_tables,
    sqlstate,
)
from itemsapi.db.schema_errors import MigrationFailed, SchemaOutdated, UpgradeNeeded
from itemsapi.db.sqlite import MIGRATION_TIMEOUT_SECONDS, is_busy
from itemsapi.problems import DatabaseUnavailable

SCHEMA_LOCK_ID = 7_200  # of the advisory lock around migrations
LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE

_CHANGES = text("SELECT total_changes()")  # rows that the connection changed


def upgrade(database: Database, revision: str | None = None, *, of: Owner = "layer") -> None:
    """Upgrade the tables of an owner to `revision`; of several processes one does, the others wait.

    Without a revision, upgrade all tables of all owners to the newest.
    """
    _require_folder(database)
    with migrating(database) as connection:
        if revision is None:
            upgrade_all(database, connection)
            return
        for migrations in _of(database, of):
            _run(migrations, command.upgrade, connection, revision)


def upgrade_all(database: Database, connection: Connection) -> None:
    """Upgrade all tables of all owners to the newest, in the transaction of `migrating`."""
    for migrations in _all(database):
        _run(migrations, command.upgrade, connection, "head")


def require_current_source(database: Database, source: Connection) -> None:
    """Raise `SchemaOutdated` unless a connection finds the tables that `database` would have."""
    for migrations in _all(database):
        current, newest = migrations.current(source), migrations.newest()
        if current != newest:
            words = f"in the file {migrations.subject} at revision {current or 'base'}"
            raise SchemaOutdated(f"{words}, this version needs {newest}; upgrade the file first")


def downgrade(database: Database, revision: str, *, of: Owner = "layer") -> None:
    """Downgrade the tables of an owner to `revision`; `base` drops them all.

    The tables of the Items API refer to those of the layer, so they are dropped before these.
    """
    _require_folder(database)
    with migrating(database) as connection:
        layer, items = layer_migrations(), item_migrations()
        if (
            of == "layer"
            and items.current(connection)
            and layer.undoes_all(layer.current(connection), revision)
        ):
            _require_part(database)
            _run(items, command.downgrade, connection, "base")
        for migrations in _of(database, of):
            _run(migrations, command.downgrade, connection, revision)


def _require_part(database: Database) -> None:
    if not database.items:
        words = "the tables of the Items API are in the database, and this application has no items"
        raise MigrationFailed(f"{words}; run `itemsapi db downgrade base` without --app")


def _run(
    migrations: Migrations,
    run: Callable[[Config, str], None],
    connection: Connection,
    revision: str,
) -> None:
    if migrations.tables:
        _run_own(migrations, run, connection, revision)
        return
    _require_known(migrations, connection)
    if migrations.newest():
        migrations.run(run, connection, revision)


def _run_own(
    migrations: Migrations,
    run: Callable[[Config, str], None],
    connection: Connection,
    revision: str,
) -> None:
    """Run our migrations. Raise `MigrationFailed`, which lists the revisions, for none of them."""
    try:
        run(migrations.config(connection), revision)
    except CommandError as error:
        known = ", ".join(sorted(_known(migrations)))
        words = f"{str(error).splitlines()[0]}; the revisions are {known}"
        raise MigrationFailed(f"{words}, and `base` before them") from error


def _of(database: Database, owner: Owner) -> list[Migrations]:
    """Return the migrations of an owner; none if the application does not have it."""
    if owner == "layer":
        return [layer_migrations()]
    if owner == "items":
        return own_migrations(database)[1:]
    return _blueprints(database)


def _all(database: Database) -> list[Migrations]:
    return [*own_migrations(database), *_blueprints(database)]


def _blueprints(database: Database) -> list[Migrations]:
    migrations = blueprint_migrations(database)
    return [migrations] if migrations else []


def _require_folder(database: Database) -> None:
    """Raise `MigrationFailed` before anything is changed if the blueprints' cannot be read."""
    for migrations in _blueprints(database):
        migrations.newest()


def current_revision(database: Database) -> str | None:
    """Return the revision of the layer's tables in the database; None if it has none.

    Raise `SchemaConflict` if the tables belong to another application.
    """
    with translate_errors(), database.engine.connect() as connection:
        return _revision(layer_migrations(), connection)


def revisions(database: Database, owner: Owner) -> tuple[str | None, str | None] | None:
    """Return the revision of an owner's tables in the database, and the newest that there is.

    None if the application has no such tables: no Items API, or no `ITEMSAPI_MIGRATIONS`.
    """
    for migrations in _of(database, owner):
        newest = migrations.newest()
        with translate_errors(), database.engine.connect() as connection:
            return migrations.current(connection), newest
    return None


@functools.cache
def newest_revision() -> str:
    """Return the newest revision of this version of the package; it is read once."""
    revision = layer_migrations().newest()
    assert revision is not None  # noqa: S101 - the package carries its migrations
    return revision


def require_newest_schema(database: Database) -> None:
    """Raise `SchemaOutdated` unless the tables of this application have the newest revisions.

    Raise `DatabaseUnavailable` if they are for other users.
    """
    with translate_errors(), database.engine.connect() as connection:
        own = [(each, _revision(each, connection)) for each in own_migrations(database)]
        for migrations, current in own:
            _require_own_newest(migrations, current)
            database.user_set.require(connection)  # the layer's tables are the first
        for migrations in _blueprints(database):
            require_newest(migrations, connection)


def require_known_revision(revision: str | None) -> None:
    """Raise `SchemaOutdated` if the layer's tables in a backup are of a newer version."""
    if revision is not None and revision not in _known(layer_migrations()):
        words = f"the backup is at revision {revision}, newer than this version of itemsapi"
        raise SchemaOutdated(f"{words}; install the newer version, and restore with that")


def require_usable_schema(database: Database) -> None:
    """Raise `SchemaOutdated` if tables are missing, or older than this version needs.

    Newer ones are usable: that is how an old process goes on during an upgrade.
    """
    with database.reading() as connection:
        for migrations in _all(database):
            current = migrations.current(connection)
            if current is not None and current not in _known(migrations):
                continue
            if migrations.tables:
                _require_own_newest(migrations, current)
            elif current != _newest(migrations):
                raise _blueprints_outdated(migrations, current, _newest(migrations))


def _require_own_newest(migrations: Migrations, current: str | None) -> None:
    newest = _newest(migrations)
    if current == newest:
        return
    _require_own_known(migrations, current)
    if current is None and migrations == layer_migrations():
        raise UpgradeNeeded(f"the database has no tables yet; run {command_line('db upgrade')}")
    words = f"{migrations.subject} at revision {current or 'base'}, this version needs {newest}"
    advice = f"run {command_line('db upgrade')}"
    if current is not None:
        raise UpgradeNeeded(f"{words}; {advice}")
    # The tables of the layer are there, perhaps those of somebody's application.
    advice += ", or, if this is the database of an application, name it with --app"
    raise SchemaOutdated(f"{words}; {advice}")


def _require_own_known(migrations: Migrations, current: str | None) -> None:
    if current is not None and current not in _known(migrations):
        words = f"{migrations.subject} at revision {current}, newer than this version of itemsapi"
        raise SchemaOutdated(f"{words}; install the newer version, or restore a backup")


def require_newest(migrations: Migrations, connection: Connection) -> None:
    """Raise `SchemaOutdated` unless the tables of the blueprints have the newest revision."""
    newest, current = migrations.newest(), _require_known(migrations, connection)
    if current != newest:
        raise _blueprints_outdated(migrations, current, newest)


def _blueprints_outdated(
    migrations: Migrations, current: str | None, newest: str | None
) -> UpgradeNeeded:
    words = f"{migrations.subject} at revision {current or 'base'}, {migrations.folder} has"
    return UpgradeNeeded(f"{words} {newest}; run {command_line('db upgrade')}")


def _require_known(migrations: Migrations, connection: Connection) -> str | None:
    """Return the revision of the blueprints' tables. Raise `SchemaOutdated` if no file has it."""
    migrations.newest()
    current = migrations.current(connection)
    if current is not None and current not in migrations.known():
        words = f"the tables of the blueprints are at revision {current}"
        raise SchemaOutdated(f"{words}, which is not in {migrations.folder}; use its newest files")
    return current


@functools.cache
def _newest(migrations: Migrations) -> str | None:
    return migrations.newest()


@functools.cache
def _known(migrations: Migrations) -> frozenset[str]:
    return migrations.known()


def _revision(migrations: Migrations, connection: Connection) -> str | None:
    """Return the revision of our tables. Raise `SchemaConflict` if they are not ours."""
    revision = migrations.current(connection)
    require_own_tables(connection, migrations.tables, migrations.version_table, revision)
    return revision


@contextmanager
def migrating(database: Database) -> Iterator[Connection]:
    """Yield a connection for migrations: no time limits, one transaction, one process at a time.

    The others wait up to ten minutes. Raise `SchemaConflict`, or `SchemaOutdated` for tables of a
    newer version, before anything is changed, and `MigrationFailed` if another process does not
    finish.
    """
    try:
        with database._migration() as tx, _without_timeouts(database, tx):  # noqa: SLF001 - ours alone
            connection = tx.connection()
            for migrations in own_migrations(database):
                _require_own_known(migrations, _revision(migrations, connection))
            if layer_migrations().current(connection):
                database.user_set.require(connection)
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
