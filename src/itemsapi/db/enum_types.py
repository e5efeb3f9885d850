"""Types of enums in generated migrations: PostgreSQL keeps them apart from the tables.

Alembic creates the type with a new table, but not with a new column, and never drops it.
"""

from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from sqlalchemy import Column, Enum, MetaData

from itemsapi.db.types import type_on

_Columns = dict[tuple[str, str], Column[Any]]  # by the names of table and column


class EnumTypeOperation(MigrateOperation):
    """Create or drop the type of an enum, if the database has types of enums."""

    def __init__(self, verb: str, enum: Enum) -> None:
        """Take `create` or `drop`, and the enum."""
        self.verb, self.enum = verb, Enum(*enum.enums, name=enum.name)


@renderers.dispatch_for(EnumTypeOperation)
def _render(_context: AutogenContext, operation: EnumTypeOperation) -> str:
    return f"sa.{operation.enum!r}.{operation.verb}(op.get_bind(), checkfirst=True)"


def manage_enum_types(script: ops.MigrationScript, metadata: MetaData) -> None:
    """Create the types of new columns before them, and drop new types at the end of a downgrade.

    A type that an older column uses too is not new.
    """
    upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
    if upgrade is None or downgrade is None:
        return
    with_table, alone = _new_columns(upgrade)
    new = {*with_table, *alone}
    older = {
        enum.name
        for table in metadata.tables.values()
        for column in table.columns
        if (table.name, column.name) not in new
        for enum in _enums(column)
    }
    created = {enum.name for column in with_table.values() for enum in _enums(column)}
    types = {enum.name: enum for column in (with_table | alone).values() for enum in _enums(column)}
    for name, enum in types.items():
        if name not in created:
            upgrade.ops.insert(0, EnumTypeOperation("create", enum))
        if name not in older:
            downgrade.ops.append(EnumTypeOperation("drop", enum))


def _new_columns(upgrade: ops.UpgradeOps) -> tuple[_Columns, _Columns]:
    """Return the columns of new tables, and those that are added to a table."""
    with_table: _Columns = {}
    alone: _Columns = {}
    for change in upgrade.ops:
        if isinstance(change, ops.CreateTableOp):
            columns = (item for item in change.columns if isinstance(item, Column))
            with_table |= {(change.table_name, column.name): column for column in columns}
        if isinstance(change, ops.ModifyTableOps):
            added = (op.column for op in change.ops if isinstance(op, ops.AddColumnOp))
            alone |= {(change.table_name, column.name): column for column in added}
    return with_table, alone


def _enums(column: Column[Any]) -> list[Enum]:
    """Return the enum that is the type of a column on PostgreSQL, if it is one with a name."""
    kind = type_on("postgresql", column.type)
    return [kind] if isinstance(kind, Enum) and kind.native_enum and kind.name else []
