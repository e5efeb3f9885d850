"""Ownership: our tables by name, and whether those in the database are ours.

All our names begin with `itemsapi_`, so our tables can be beside those of another application, with
its own Alembic. Before a table is created or dropped, this checks that a table with one
of our names is ours. The check covers the schema in which new tables are created.
"""

from collections.abc import Collection
from typing import Literal

from sqlalchemy import Connection, inspect, select, table

from itemsapi.operator_error import OperatorError

Owner = Literal["layer", "items", "blueprints"]  # of tables

VERSION_TABLE = "itemsapi_alembic_version"
ITEM_VERSION_TABLE = "itemsapi_item_version"
BLUEPRINT_VERSION_TABLE = "itemsapi_blueprint_version"
APPLICATION_VERSION_TABLE = "alembic_version"  # of an application's own Alembic
VERSION_TABLES = frozenset({VERSION_TABLE, ITEM_VERSION_TABLE, BLUEPRINT_VERSION_TABLE})

USER_TABLE = "itemsapi_user"
LAYER_TABLES = frozenset(
    {
        "itemsapi_api_key",
        "itemsapi_attempt",
        "itemsapi_audit_event",
        "itemsapi_idempotency_key",
        "itemsapi_known_client",
        "itemsapi_pending_attempt",
        "itemsapi_quota_usage",
        "itemsapi_revocation",
        "itemsapi_role",
        "itemsapi_role_scope",
        "itemsapi_session",
        "itemsapi_signing_key",
        USER_TABLE,
        "itemsapi_user_role",
        "itemsapi_user_set",
        "itemsapi_user_state",
    }
)
ITEM_TEXT = "itemsapi_item_text"  # the search index; SQLite keeps it in further tables
ITEM_TABLES = frozenset(
    {
        "itemsapi_item",
        ITEM_TEXT,
        *(f"{ITEM_TEXT}_{name}" for name in ("config", "content", "data", "docsize", "idx")),
    }
)
TABLES = LAYER_TABLES | ITEM_TABLES | VERSION_TABLES
# Tables that have rows before there is a user: the first start creates keys, and events of them.
FILLED_AT_START = {
    "itemsapi_role",
    "itemsapi_role_scope",
    "itemsapi_signing_key",
    "itemsapi_audit_event",
    APPLICATION_VERSION_TABLE,
    *(ITEM_TABLES - {"itemsapi_item"}),
    *VERSION_TABLES,
}


class SchemaConflict(OperatorError, RuntimeError):
    """Our tables cannot be created here; the message says what to do. Nothing was changed."""


def target_schema(connection: Connection) -> str | None:
    """Return the schema in which new tables are created; None if there is none, or on SQLite."""
    return connection.dialect.default_schema_name if _is_postgres(connection) else None


def relation_names(connection: Connection) -> set[str]:
    """Return the names of the tables and views in that schema, Alembic's included."""
    schema = target_schema(connection)
    if schema is None and _is_postgres(connection):
        return set()
    inspector = inspect(connection)
    return {*inspector.get_table_names(schema), *inspector.get_view_names(schema)}


def missing_tables(connection: Connection) -> list[str]:
    """Return the tables of the layer that are not in that schema, although its migrations ran."""
    return sorted(LAYER_TABLES - relation_names(connection))


def has_other_tables(connection: Connection) -> bool:
    """Return whether an application has tables in that schema too."""
    return bool(relation_names(connection) - TABLES)


def table_in_use(connection: Connection) -> str | None:
    """Return a table in that schema that has rows, of an application too; None if there is none.

    It is the one of the users if that has rows. Rows that the first start makes do not count.
    """
    schema = target_schema(connection)
    names = relation_names(connection) - FILLED_AT_START
    for name in sorted(names, key=lambda name: (name != USER_TABLE, name)):
        if connection.execute(select(1).select_from(table(name, schema=schema)).limit(1)).first():
            return name
    return None


def require_own_tables(
    connection: Connection, names: Collection[str], version_table: str, revision: str | None
) -> None:
    """Raise `SchemaConflict` if tables of these names, or the version table, are not ours.

    They are if the version table has a revision and some of them exist.
    """
    existing = relation_names(connection).intersection(names)
    is_recorded = revision is not None
    foreign = sorted(existing) if not is_recorded else [] if existing else [version_table]
    if foreign:
        place = "a file"
        if _is_postgres(connection):
            place = "a database, or by ?options=-csearch_path=NAME a schema,"
        raise SchemaConflict(
            f"the database has a table `{foreign[0]}` of another application;"
            f" give itemsapi {place} of its own in ITEMSAPI_DATABASE_URL"
        )


def explain_error(error: BaseException | None) -> SchemaConflict | None:
    """Return the error to show if the database rejects our tables; None for other errors."""
    state = sqlstate(error)
    message = str(getattr(error, "orig", None)).split("\n", 1)[0]
    if state == "3F000":
        reason = "the search_path names no schema that this role may use"
        return SchemaConflict(f"{reason}; run CREATE SCHEMA ... AUTHORIZATION, or GRANT USAGE")
    if state == "42501":
        return SchemaConflict(f"{message}; let the role create tables: GRANT CREATE ON SCHEMA ...")
    if state == "42P07":  # of an index or the search index, which no model lists
        return SchemaConflict(f"{message}, made by another application; give itemsapi a schema")
    if state is None and message.endswith(" already exists"):  # the same in SQLite
        return SchemaConflict(f"{message}, made by another application; give itemsapi a file")
    return None


def sqlstate(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of PostgreSQL's error; None for other errors."""
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"
