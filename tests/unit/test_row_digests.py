"""The digest by which `itemsapi db copy` compares the rows of two databases."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, text

from itemsapi.db.table_copy import CopyFailed, RowDigest, copy_table


def digest(*rows: tuple[Any, ...]) -> RowDigest:
    """Return the digest of rows."""
    result = RowDigest()
    result.add(rows)  # type: ignore[arg-type]  # a row of SQLAlchemy is a tuple
    return result


def test_the_order_of_rows_does_not_matter() -> None:
    """The databases sort texts differently."""
    assert digest((1, "a"), (2, "B")) == digest((2, "B"), (1, "a"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (datetime(2026, 3, 29, 10, tzinfo=timezone(timedelta(hours=9))), datetime(2026, 3, 29, 1)),  # noqa: DTZ001
        (Decimal("12.50"), Decimal("12.5000")),
        ({"b": 1, "a": [1]}, {"a": [1], "b": 1}),
        (memoryview(b"x"), b"x"),
    ],
)
def test_the_form_of_a_value_does_not_matter(one: object, other: object) -> None:
    """Each database has its own for the same time, number and JSON."""
    assert digest((one,)) == digest((other,))


@pytest.mark.parametrize(
    "rows",
    [
        [(1, "a")],
        [(1, "a"), (2, "b"), (2, "b")],
        [(1, "b"), (2, "a")],
        [(1, "a"), (2, None)],
        [(1, "a"), (2, datetime(2026, 3, 29, tzinfo=UTC))],
    ],
)
def test_a_difference_is_noticed(rows: list[tuple[Any, ...]]) -> None:
    """A missing row, one too many, swapped values, a lost value."""
    assert digest(*rows) != digest((1, "a"), (2, "b"))


def test_rows_that_the_new_database_changed_are_reported() -> None:
    """A trigger, say, or a type that rounds."""
    names = Table("names", MetaData(), Column("id", Integer), Column("name", String))
    source, target = create_engine("sqlite://"), create_engine("sqlite://")
    trigger = "CREATE TRIGGER t AFTER INSERT ON names BEGIN UPDATE names SET name = 'x'; END"
    with source.connect() as one, target.connect() as other:
        for connection in (one, other):
            names.create(connection)
        one.execute(names.insert(), {"id": 1, "name": "ada"})
        other.execute(text(trigger))
        with pytest.raises(CopyFailed, match="the rows of names differ after the copy"):
            copy_table(one, other, names, lambda _description, _total: lambda _steps: None)
    source.dispose()
    target.dispose()
