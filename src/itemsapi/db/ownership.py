"""Ownership: whether the tables of the database are ours, asked before any is made or dropped.

Our names are short (`role`, `item`), and somebody else may have had them first; Alembic's table of
versions has the same name for everybody. What counts is the schema that new tables go to.
"""

from collections.abc import Collection

from sqlalchemy import Connection, inspect

SESSION_TABLE = "itemsapi_session"  # a table of ours at every revision


class SchemaConflict(RuntimeError):
    """Our tables cannot be in this database; the message says what to do. Nothing was changed."""


def target_schema(connection: Connection) -> str | None:
    """Return the schema that new tables go to; None if there is none, or no such thing."""
    return connection.dialect.default_schema_name if _is_postgres(connection) else None


def relation_names(connection: Connection) -> set[str]:
    """Return the names of the tables and views in that schema, Alembic's among them."""
    schema = target_schema(connection)
    if schema is None and _is_postgres(connection):
        return set()
    look = inspect(connection)
    return {*look.get_table_names(schema), *look.get_view_names(schema)}


def require_own_schema(
    connection: Connection, names: Collection[str], revision: str | None
) -> None:
    """Raise `SchemaRefused` if tables of these names, or the revision, are somebody else's."""
    there = relation_names(connection)
    if revision is None:
        foreign = sorted(there.intersection(names))
    else:
        foreign = [] if SESSION_TABLE in there else ["alembic_version"]
    if foreign:
        own = "a file"
        if _is_postgres(connection):
            own = "a database, or by ?options=-csearch_path=NAME a schema,"
        raise SchemaConflict(
            f"the database has a table `{foreign[0]}` of another application;"
            f" give itemsapi {own} of its own in ITEMSAPI_DATABASE_URL"
        )


def explain_error(error: BaseException | None) -> SchemaConflict | None:
    """Return the line for what PostgreSQL will not let us make; None if it is something else."""
    fault = getattr(error, "orig", None)
    state, said = getattr(fault, "sqlstate", None), str(fault).split("\n", 1)[0]
    if state == "3F000":
        words = "the search_path names no schema that this role may use"
        return SchemaConflict(f"{words}; run CREATE SCHEMA ... AUTHORIZATION, or GRANT USAGE")
    if state == "42501":
        return SchemaConflict(f"{said}; let the role create tables: GRANT CREATE ON SCHEMA ...")
    if state == "42P07":  # a name that no model has, of an index or the words of items
        return SchemaConflict(f"{said}, made by another application; give itemsapi a schema")
    return None


def _is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"
