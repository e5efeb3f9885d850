"""The database: SQLite or PostgreSQL, used through explicit transactions."""

from sqlalchemy.orm import Session

from itemsapi.db.engine import Database
from itemsapi.db.migrations import MigrationFailed
from itemsapi.db.new_revision import create_revision, require_current_models
from itemsapi.db.schema import (
    SchemaOutdated,
    blueprint_revisions,
    check_schema,
    current_revision,
    downgrade,
    downgrade_blueprints,
    is_empty,
    newest_revision,
    upgrade,
    upgrade_blueprints,
)
from itemsapi.db.types import AnyRow, AutoNumber, BlueprintModel, Model, UtcDateTime

__all__ = [
    "AnyRow",
    "AutoNumber",
    "BlueprintModel",
    "Database",
    "MigrationFailed",
    "Model",
    "SchemaOutdated",
    "Session",
    "UtcDateTime",
    "blueprint_revisions",
    "check_schema",
    "create_revision",
    "current_revision",
    "downgrade",
    "downgrade_blueprints",
    "is_empty",
    "newest_revision",
    "require_current_models",
    "upgrade",
    "upgrade_blueprints",
]
