"""New migrations for the tables of blueprints, written by Alembic from the models.

Only tables that the models name are compared: no table of the layer, of another application, or of
a model that was removed is ever changed by a generated migration.
"""

from pathlib import Path

from alembic import command
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import MetaData

from itemsapi.db.engine import Database
from itemsapi.db.migrations import Migrations, blueprint_migrations
from itemsapi.db.schema import migrating, require_newest
from itemsapi.db.types import Model
from itemsapi.settings import SettingsError

RESERVED_PREFIXES = ("itemsapi_", "item_text", "alembic_version")  # not all of them are models


def create_revision(
    database: Database, message: str, metadata: MetaData, *, empty: bool = False
) -> Path | None:
    """Write a migration that leads from the tables in the database to those of `metadata`.

    Return its file, or None if nothing changed. With `empty` the migration does nothing yet. Raise
    `SettingsError` if a folder for migrations or a table is missing, or a name is taken,
    `MigrationFailed` if an earlier one cannot be read, and `SchemaOutdated` if it did not run.
    """
    migrations = blueprint_migrations(database, metadata)
    if migrations is None:
        words = "ITEMSAPI_MIGRATIONS is missing; set it to a folder for the migrations"
        raise SettingsError(f"{words}, for example ITEMSAPI_MIGRATIONS=migrations")
    if not empty:
        _require_own_tables(metadata)
    _create_folder(migrations.folder)
    migrations.newest()
    message = _one_line(message)
    script = (
        command.revision(migrations.config(), message)
        if empty
        else _generate(database, migrations, message)
    )
    return Path(script.path) if isinstance(script, Script) else None


def _generate(database: Database, migrations: Migrations, message: str) -> object:
    with migrating(database) as connection, connection.begin_nested() as savepoint:
        require_newest(migrations, connection)
        script = command.revision(
            migrations.config(connection),
            message,
            autogenerate=True,
            process_revision_directives=_drop_without_changes,
        )
        savepoint.rollback()  # Alembic creates its version table for the comparison
    return script


def _drop_without_changes(
    _context: MigrationContext, _revision: object, scripts: list[MigrationScript]
) -> None:
    operations = scripts[0].upgrade_ops
    if operations is None or operations.is_empty():
        scripts.clear()


def _require_own_tables(metadata: MetaData) -> None:
    """Raise `SettingsError` unless there are tables, and none is one of the layer's."""
    if not metadata.tables:
        words = "no model is found; name its blueprint in ITEMSAPI_BLUEPRINTS and derive it from"
        raise SettingsError(f"{words} itemsapi.BlueprintModel, or add --metadata MODULE:METADATA")
    for name, table in metadata.tables.items():
        if table.schema:
            words = f"the table `{name}` names a schema"
            raise SettingsError(f"{words}; tables of blueprints are in the schema of the layer")
        if name in Model.metadata.tables or name.startswith(RESERVED_PREFIXES):
            raise SettingsError(f"the table `{name}` belongs to itemsapi; choose another name")


def _create_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        words = f"ITEMSAPI_MIGRATIONS cannot be created: {folder}"
        raise SettingsError(f"{words} ({error.strerror})") from error


def _one_line(message: str) -> str:
    """Return a message that a docstring can contain."""
    return " ".join(message.replace("\\", "/").replace('"', "'").split())
