"""The database: SQLite or PostgreSQL, used through explicit transactions."""

from itemsapi.db.engine import Database
from itemsapi.db.joined_transaction import HostConnection, after_commit
from itemsapi.db.migrations import MigrationFailed
from itemsapi.db.new_revision import create_revision, require_current_models
from itemsapi.db.schema import (
    Owner,
    SchemaOutdated,
    check_schema,
    current_revision,
    downgrade,
    is_empty,
    newest_revision,
    revisions,
    upgrade,
)
from itemsapi.db.types import AnyRow, AutoNumber, BlueprintModel, Model, UtcDateTime

__all__ = [
    "AnyRow",
    "AutoNumber",
    "BlueprintModel",
    "Database",
    "HostConnection",
    "MigrationFailed",
    "Model",
    "Owner",
    "SchemaOutdated",
    "UtcDateTime",
    "after_commit",
    "check_schema",
    "create_revision",
    "current_revision",
    "downgrade",
    "is_empty",
    "newest_revision",
    "require_current_models",
    "revisions",
    "upgrade",
]
