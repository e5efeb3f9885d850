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
from itemsapi.db.types import NUMBER, AnyRow, Model, Moment

__all__ = [
    "NUMBER",
    "AnyRow",
    "Database",
    "Model",
    "Moment",
    "SchemaOutdated",
    "check_schema",
    "current_revision",
    "downgrade",
    "empty",
    "newest_revision",
    "upgrade",
]
