"""Alembic environment: run migrations on the connection of `itemsapi.db`, in one transaction.

It serves two sets of migrations, the layer's and the blueprints' (`itemsapi/db/migrations.py`).
"""

from alembic import context
from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext
from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

from itemsapi.db.ownership import target_schema
from itemsapi.db.types import column_type, is_builtin

connection = context.config.attributes["connection"]
metadata = context.config.attributes["metadata"]
# Alembic writes the arguments of PostgreSQL's types (JSONB) only if the database is PostgreSQL.
POSTGRESQL = PostgresqlImpl(postgresql.dialect(), None, True, None, None, {})  # noqa: FBT003 - `as_sql`


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Compare only tables that the models name."""
    return kind != "table" or name in metadata.tables


def render_item(kind: str, item: object, rendering: AutogenContext) -> str | bool:
    """Write a decorated type as the type of its column: a migration then imports no model."""
    if kind != "type" or not isinstance(item, TypeEngine):
        return False
    if type(item).__module__.startswith("sqlalchemy.dialects.postgresql"):
        rendering.imports.add("from sqlalchemy.dialects import postgresql")
        return POSTGRESQL.render_type(item, rendering) or f"postgresql.{item!r}"
    if is_builtin(item):
        return False
    if isinstance(item, TypeDecorator):
        return render._repr_type(column_type(item), rendering)  # noqa: SLF001 - there is no public way
    rendering.imports.add(f"import {type(item).__module__}")
    return False


context.configure(
    connection=connection,
    version_table=context.config.attributes["version_table"],
    version_table_schema=target_schema(connection),
    target_metadata=metadata,  # also for the naming convention of constraints
    include_name=include_name,
    render_item=render_item,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
