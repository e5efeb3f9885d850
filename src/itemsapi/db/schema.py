"""Schema migrations: bring the tables to the revision that this version of the package needs."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, exc, text
from sqlalchemy.orm import Session

from itemsapi.db.engine import Database, translate_errors
from itemsapi.db.ownership import explain_error, relation_names, require_own_schema, target_schema
from itemsapi.db.postgres import without_timeout
from itemsapi.db.types import Model
from itemsapi.problems import DatabaseUnavailable

MIGRATION_FOLDERS = (
    Path(__file__).parents[1] / "migrations",
    Path(__file__).parents[3] / "migrations",
)
SCHEMA_LOCK_ID = 7_200  # of the advisory lock around migrations


class SchemaOutdated(RuntimeError):
    """The tables are missing or have another revision; the message says what to do."""


def upgrade(database: Database, revision: str = "head") -> None:
    """Upgrade the schema to `revision`; of several processes one does, the others wait."""
    _migrate(database, lambda config: command.upgrade(config, revision))


def downgrade(database: Database, revision: str) -> None:
    """Downgrade the schema to `revision`; `base` drops all tables."""
    _migrate(database, lambda config: command.downgrade(config, revision))


def current_revision(database: Database) -> str | None:
    """Return the revision of the schema in the database; None if it has none.

    Raise `SchemaConflict` if the tables belong to another application.
    """
    with translate_errors(), database.engine.connect() as connection:
        return _revision(connection)


def is_empty(database: Database) -> bool:
    """Tell whether the schema has no table or view at all."""
    with database.reading() as connection:
        return not relation_names(connection)


@functools.cache
def newest_revision() -> str:
    """Return the newest revision of this version of the package; it is read once."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 - the package carries its migrations
    return revision


def check_schema(database: Database) -> None:
    """Raise `SchemaOutdated` unless the schema has the newest revision."""
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


@functools.cache
def _known_revisions() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(script.revision for script in scripts)


def _revision(connection: Connection) -> str | None:
    options = {
        "version_table_schema": target_schema(connection)
    }  # the search_path may find another table
    revision = MigrationContext.configure(connection, opts=options).get_current_revision()
    require_own_schema(connection, Model.metadata.tables.keys(), revision)
    return revision


def _config() -> Config:
    config = Config()
    folder = next(folder for folder in MIGRATION_FOLDERS if folder.is_dir())
    config.set_main_option(
        "script_location", str(folder).replace("%", "%%")
    )  # ConfigParser interpolates %(...)s
    return config


def _migrate(database: Database, command_to_run: Callable[[Config], None]) -> None:
    """Run a migration without time limits, in one transaction, one process at a time.

    Raise `SchemaConflict` before anything is changed.
    """
    config = _config()
    try:
        with database.transaction() as tx, _without_timeouts(database, tx):
            database.advisory_lock(tx, SCHEMA_LOCK_ID)
            _revision(tx.connection())
            config.attributes["connection"] = tx.connection()
            command_to_run(config)
    except exc.ProgrammingError as error:
        raise explain_error(error) or error from error
    except DatabaseUnavailable as error:
        raise explain_error(error.__cause__) or error from error.__cause__


@contextmanager
def _without_timeouts(database: Database, tx: Session) -> Iterator[None]:
    if database.dialect != "postgresql":
        yield
        return
    tx.execute(text("SET LOCAL statement_timeout = 0"))
    tx.execute(text("SET LOCAL lock_timeout = '30s'"))
    tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    with without_timeout(tx.connection()):
        yield
