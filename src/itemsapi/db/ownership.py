"""Ownership: check that the tables of the database are ours before any is created or dropped.

Our table names are short (`role`, `item`), so another application may use them too. Alembic's
version table has the same name in every application. The check covers the schema in which new
tables are created.
"""

from collections.abc import Collection

from sqlalchemy import Connection, inspect

SESSION_TABLE = "itemsapi_session"  # exists at every revision


class SchemaConflict(RuntimeError):
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


def require_own_schema(
    connection: Connection, names: Collection[str], revision: str | None
) -> None:
    """Raise `SchemaConflict` if tables of these names, or the revision, are not ours."""
    existing = relation_names(connection)
    if revision is None:
        foreign = sorted(existing.intersection(names))
    else:
        foreign = [] if SESSION_TABLE in existing else ["alembic_version"]
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
