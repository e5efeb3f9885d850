"""The database: SQLite or PostgreSQL, used through explicit transactions."""

from itemsapi.db.engine import Database
from itemsapi.db.schema import (
    SchemaOutdated,
    check_schema,
    current_revision,
    downgrade,
    is_empty,
    newest_revision,
    upgrade,
)
from itemsapi.db.types import AnyRow, AutoNumber, Model, UtcDateTime

__all__ = [
    "AnyRow",
    "AutoNumber",
    "Database",
    "Model",
    "SchemaOutdated",
    "UtcDateTime",
    "check_schema",
    "current_revision",
    "downgrade",
    "is_empty",
    "newest_revision",
    "upgrade",
]
