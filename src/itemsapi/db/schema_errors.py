"""The errors of the schema, in a module that needs no Alembic: every command may show one."""

from itemsapi.operator_error import OperatorError


class SchemaOutdated(OperatorError, RuntimeError):
    """The tables are missing or have another revision; the message says what to do."""


class UpgradeNeeded(SchemaOutdated):
    """The tables are missing, or older than this version needs: `db upgrade` mends it."""


class MigrationFailed(OperatorError, RuntimeError):
    """The migrations of the blueprints cannot be read, or one fails; the message says why."""
