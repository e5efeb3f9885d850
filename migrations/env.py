"""How Alembic runs our migrations: on the connection of `itemsapi.db`, in one transaction."""

from alembic import context

from itemsapi.db import Model
from itemsapi.db.ownership import target_schema

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table_schema=target_schema(connection),
    target_metadata=Model.metadata,  # constraints get the names that the models give them
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
