"""Alembic environment: run migrations on the connection of `itemsapi.db`, in one transaction.

It serves two sets of migrations, the layer's and the blueprints' (`itemsapi/db/migrations.py`).
"""

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import TypeDecorator

from itemsapi.db.ownership import target_schema

connection = context.config.attributes["connection"]
metadata = context.config.attributes["metadata"]


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Compare only tables that the models name."""
    return kind != "table" or name in metadata.tables


def render_item(kind: str, item: object, _context: AutogenContext) -> str | bool:
    """Write a decorated type as the type of its column: a migration then imports no model."""
    if kind == "type" and isinstance(item, TypeDecorator):
        column_type = item.impl_instance
        if type(column_type).__module__ == "sqlalchemy.sql.sqltypes":
            return f"sa.{column_type!r}"
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
