"""Where rows live: SQLite or PostgreSQL, reached by explicit transactions."""

from itemsapi.db.engine import Database
from itemsapi.db.schema import (
    SchemaOutdated,
    check_schema,
    current_revision,
    downgrade,
    empty,
    newest_revision,
    upgrade,
)
from itemsapi.db.types import AutoNumber, AnyRow, Model, UtcDateTime

__all__ = [
    "AutoNumber",
    "AnyRow",
    "Database",
    "Model",
    "UtcDateTime",
    "SchemaOutdated",
    "check_schema",
    "current_revision",
    "downgrade",
    "empty",
    "newest_revision",
    "upgrade",
]
