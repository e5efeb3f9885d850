"""The database: SQLite or PostgreSQL, used through explicit transactions.

What changes the schema is imported at its first use, because it needs Alembic.
"""

import importlib
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from itemsapi.db.current_schema import check_schema, is_empty
from itemsapi.db.engine import Database
from itemsapi.db.joined_transaction import (
    HostConnection,
    has_joined,
    host_connection,
    run_after_commit,
)
from itemsapi.db.lookup import Fetch, Lookup, Rows, execute, fetch, fetch_first
from itemsapi.db.ownership import Owner
from itemsapi.db.schema_errors import MigrationFailed, SchemaOutdated, UpgradeNeeded
from itemsapi.db.types import AnyRow, AutoNumber, BlueprintModel, Model, UtcDateTime
from itemsapi.db.user_set import LAYER_USERS

if TYPE_CHECKING:
    from itemsapi.db.new_revision import create_revision, require_current_models
    from itemsapi.db.schema import (
        current_revision,
        downgrade,
        migrating,
        newest_revision,
        require_current_source,
        require_known_revision,
        revisions,
        upgrade,
        upgrade_all,
    )

__all__ = [
    "LAYER_USERS",
    "AnyRow",
    "AutoNumber",
    "BlueprintModel",
    "Database",
    "Fetch",
    "HostConnection",
    "Lookup",
    "MigrationFailed",
    "Model",
    "Owner",
    "Rows",
    "SchemaOutdated",
    "Session",
    "UpgradeNeeded",
    "UtcDateTime",
    "check_schema",
    "create_revision",
    "current_revision",
    "downgrade",
    "execute",
    "fetch",
    "fetch_first",
    "has_joined",
    "host_connection",
    "is_empty",
    "migrating",
    "newest_revision",
    "require_current_models",
    "require_current_source",
    "require_known_revision",
    "revisions",
    "run_after_commit",
    "upgrade",
    "upgrade_all",
]

_WITH_ALEMBIC = ("schema", "new_revision")


def __getattr__(name: str) -> object:
    """Import a name of the modules that need Alembic."""
    if name in __all__:
        for module in _WITH_ALEMBIC:
            found: dict[str, object] = vars(importlib.import_module(f"{__name__}.{module}"))
            if name in found:
                return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
