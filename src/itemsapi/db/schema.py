"""Schema versions: bring the tables to the revision that this version of the package needs."""

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
SCHEMA_LOCK_ID = 7_200  # the advisory lock of those who migrate


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
    with translate_errors(), database.engine.connect() as connection:
        return _revision(connection)


def is_empty(database: Database) -> bool:
    """Tell whether there is no table at all, nobody's."""
    with database.reading() as connection:
        return not relation_names(connection)


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
    options = {"version_table_schema": target_schema(connection)}  # another one may be in sight
    revision = MigrationContext.configure(connection, opts=options).get_current_revision()
    require_own_schema(connection, Model.metadata.tables.keys(), revision)
    return revision


def _config() -> Config:
    config = Config()
    place = next(folder for folder in MIGRATION_FOLDERS if folder.is_dir())
    config.set_main_option("script_location", str(place).replace("%", "%%"))  # it fills in %(...)s
    return config


def _migrate(database: Database, step: Callable[[Config], None]) -> None:
    """Run a step in one transaction, one process at a time; a migration may take its time.

    Raises `SchemaRefused` before anything is changed.
    """
    config = _config()
    try:
        with database.transaction() as tx, _unhurried(database, tx):
            database.advisory_lock(tx, SCHEMA_LOCK_ID)
            _revision(tx.connection())
            config.attributes["connection"] = tx.connection()
            step(config)
    except exc.ProgrammingError as error:
        raise explain_error(error) or error from error
    except DatabaseUnavailable as error:
        raise explain_error(error.__cause__) or error from error.__cause__


@contextmanager
def _unhurried(database: Database, tx: Session) -> Iterator[None]:
    if database.dialect != "postgresql":
        yield
        return
    tx.execute(text("SET LOCAL statement_timeout = 0"))
    tx.execute(text("SET LOCAL lock_timeout = '30s'"))
    tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    with without_timeout(tx.connection()):
        yield
