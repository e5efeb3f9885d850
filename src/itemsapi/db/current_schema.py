"""Check that the tables are at the newest revision, without Alembic while they are.

Every command and every probe of a running service asks this, and Alembic takes longer to import
than most commands take to run. It is needed only to say what is wrong, and for the migrations of
blueprints, whose revisions have no numbers.
"""

from sqlalchemy import Connection, column, select, table

from itemsapi.db.engine import Database, translate_errors
from itemsapi.db.ownership import (
    ITEM_TABLES,
    ITEM_VERSION_TABLE,
    LAYER_TABLES,
    VERSION_TABLE,
    relation_names,
    target_schema,
)
from itemsapi.db.revision_files import ITEM_FOLDER, LAYER_FOLDER, newest_number

_LAYER = (VERSION_TABLE, LAYER_TABLES, LAYER_FOLDER)
_ITEMS = (ITEM_VERSION_TABLE, ITEM_TABLES, ITEM_FOLDER)


def check_schema(database: Database) -> None:
    """Raise `SchemaOutdated` unless the tables of this application have the newest revisions.

    Raise `SchemaConflict` if they belong to another application, and `DatabaseUnavailable` if they
    are for other users.
    """
    with translate_errors(), database.engine.connect() as connection:
        if is_current(database, connection):
            database.user_set.require(connection)
            return
    from itemsapi.db import schema  # noqa: PLC0415 - it imports Alembic

    schema.require_newest_schema(database)


def is_current(database: Database, connection: Connection) -> bool:
    """Return whether all tables are known to be at the newest revisions, and to be ours."""
    if database.migrations is not None:
        return False
    names = relation_names(connection)
    return all(
        version_table in names
        and tables & names
        and _revisions(connection, version_table) == [newest_number(folder)]
        for version_table, tables, folder in ([_LAYER, _ITEMS] if database.items else [_LAYER])
    )


def is_empty(database: Database) -> bool:
    """Return whether the schema has no table or view at all."""
    with translate_errors(), database.engine.connect() as connection:
        return not relation_names(connection)


def _revisions(connection: Connection, version_table: str) -> list[str]:
    """Return the rows of a version table of Alembic."""
    versions = table(version_table, column("version_num"), schema=target_schema(connection))
    return [*connection.scalars(select(versions.c.version_num))]
