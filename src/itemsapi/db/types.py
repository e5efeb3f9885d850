"""The base of all models and the column types that both databases agree on."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, Row, Table
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

AutoNumber = BigInteger().with_variant(
    Integer(), "sqlite"
)  # there only INTEGER counts up by itself
AnyRow = Row[*tuple[Any, ...]]  # a row of Core; its columns are attributes

NAMING_CONVENTION = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime to the microsecond, on databases that know time zones or do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Hand SQLite plain UTC, PostgreSQL the aware value."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return UTC whatever the database's own zone is."""
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else value.replace(tzinfo=UTC)


class Model(DeclarativeBase):
    """What every table is declared on, so that constraints have the same names everywhere."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy's own way to declare it

    @classmethod
    def core(cls) -> Table:
        """Return the plain table, for the fixed statements of hot reads."""
        table = cls.__table__
        assert isinstance(table, Table)  # noqa: S101 - narrows the type, nothing else maps here
        return table
