"""The base class of all models, and column types that work on both databases."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import repeat
from operator import add
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, Row, Table
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

# In SQLite only an INTEGER primary key counts up by itself.
AutoNumber = BigInteger().with_variant(Integer(), "sqlite")
AnyRow = Row[*tuple[Any, ...]]  # a Core row; its columns are attributes

NAMING_CONVENTION = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime to the microsecond, with or without time zones in the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return naive UTC for SQLite, the aware value for PostgreSQL."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime | None]:
        """Return what converts a value of the driver to UTC, whatever zone the database has.

        In place of `process_result_value`, which would come after SQLAlchemy's own conversion: a
        list spends much of its time here.
        """
        del coltype
        return _to_utc if dialect.name == "postgresql" else _parse_utc

    @staticmethod
    def parse_column(values: Sequence[str | None]) -> list[datetime | None]:
        """Parse the values of a column of SQLite, without a call in Python for each of them."""
        if None in values:
            return [*map(_parse_utc, values)]
        return [*map(datetime.fromisoformat, map(add, values, repeat("+00:00")))]


def _to_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


def _parse_utc(value: str | None) -> datetime | None:
    """Parse the text that SQLAlchemy stores in SQLite: `2026-01-31 12:00:00.000000`."""
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


def column_type(decorated: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type of the column that a decorated type has, on both databases."""
    sqlite, postgresql = type_on("sqlite", decorated), type_on("postgresql", decorated)
    if repr(sqlite) == repr(postgresql):
        return sqlite
    return sqlite.with_variant(postgresql, "postgresql")


def type_on(name: str, column_type: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the undecorated type on a database; types of SQLAlchemy itself stay."""
    dialect = DefaultDialect()  # one that adapts no type to a driver
    dialect.name = name
    while isinstance(column_type, TypeDecorator) and not is_builtin(column_type):
        variant = column_type._variant_mapping.get(name)  # noqa: SLF001 - there is no public way
        column_type = variant or column_type.load_dialect_impl(dialect)
    return column_type


def is_builtin(column_type: TypeEngine[Any]) -> bool:
    """Return whether a type is one of SQLAlchemy: a migration needs no import for it."""
    return type(column_type).__module__.startswith("sqlalchemy.")


class Model(DeclarativeBase):
    """The base class of all models: constraints get the same names in every database."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy's own way to declare it

    @classmethod
    def core(cls) -> Table:
        """Return the Core table, for statements that are built once."""
        table = cls.__table__
        assert isinstance(table, Table)  # noqa: S101 - narrows the type, nothing else maps here
        return table


class BlueprintModel(DeclarativeBase):
    """The base class of the tables of your own blueprints; `itemsapi db revision` finds them.

    Their metadata is not that of the layer, whose tables are private. A `Mapped[datetime]` is a
    UTC time on both databases.
    """

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy's own way to declare it
