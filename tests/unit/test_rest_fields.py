"""Strict fields."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from marshmallow.fields import Field

from itemsapi.rest import Schema, fields
from itemsapi.rest.urlencoded import TextValue

INTEGER, BOOLEAN, MOMENT, ID = (
    fields.Integer(),
    fields.Boolean(),
    fields.DateTime(),
    fields.Id(),
)
PRICE = fields.Decimal(digits=4, places=2)
ONE_ID = "01a20682-5b4e-771c-aa73-0989317c0367"


class Written(Schema):
    """What is written and read again."""

    price = fields.Decimal(digits=4)
    at = fields.DateTime()


@pytest.mark.parametrize(
    ("field", "given", "read"),
    [
        (INTEGER, 3, 3),
        (INTEGER, TextValue("-3"), -3),
        (BOOLEAN, True, True),
        (BOOLEAN, TextValue("false"), False),
        (PRICE, "12.5", Decimal("12.5")),
        (PRICE, "0", Decimal(0)),
        (fields.Decimal(signed=True), "-1.25", Decimal("-1.25")),
        (ID, ONE_ID, ONE_ID),
        (MOMENT, "2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        (MOMENT, "2026-01-31t12:00:00.5+02:00", datetime(2026, 1, 31, 10, 0, 0, 500000, UTC)),
    ],
)
def test_value_is_read_when_it_is_what_the_field_wants(
    field: Field[Any], given: object, read: object
) -> None:
    """S-156: JSON values as they are, words of a query as what is wanted."""
    assert field.deserialize(given) == read


WRONG: tuple[tuple[Field[Any], list[object]], ...] = (
    (INTEGER, [True, 1.0, 1.9, "1", "1_0", None, [1], {}]),
    (INTEGER, [2**53, TextValue("9" * 16), TextValue("1_0"), TextValue("\u0663"), TextValue("1" * 5000), TextValue("")]),
    (BOOLEAN, [1, 0, "true", TextValue("yes"), TextValue("1"), TextValue("TRUE"), []]),
    (PRICE, [1, 1.5, "1e3", "NaN", "-1", "+1", "01", "1.", ".5", "1.234"]),
    (PRICE, ["12345", " 1", "1\n", "\u0661", "", True]),
    (MOMENT, ["2026-01-31", "2026-01-31T12:00:00", 0, "2026-13-01T00:00:00Z", "now"]),
    (MOMENT, ["0001-01-01T00:00:00+23:59", "2026-01-31T12:00:00Z\n"]),
    (ID, ["1", ONE_ID.upper(), ONE_ID + "\n", 7, "../" + ONE_ID]),
)


@pytest.mark.parametrize(
    ("field", "given"), [(field, value) for field, values in WRONG for value in values]
)
def test_value_is_refused_when_it_only_resembles(field: Field[Any], given: object) -> None:
    """S-156: no silent conversion, no other digits, no other spelling."""
    with pytest.raises(ValidationError):
        field.deserialize(given)


@given(st.decimals(0, 9999, places=2))
def test_price_is_the_same_when_written_and_read_again(price: Decimal) -> None:
    """Money survives the journey exactly."""
    written = Written().dump({"price": price})
    assert Written().load(written) == {"price": price}


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001
def test_moment_is_the_same_when_written_and_read_again(naive: datetime, hours: int) -> None:
    """RFC 3339: UTC and the letter Z, whatever offset it had."""
    moment = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    written = Written().dump({"at": moment})
    assert written["at"].endswith("Z")
    assert Written().load(written) == {"at": moment}


def test_moment_counts_as_utc_when_it_has_no_offset() -> None:
    """SQLite hands out times without an offset."""
    assert fields.rfc3339(datetime(2026, 1, 31)) == "2026-01-31T00:00:00Z"  # noqa: DTZ001


def test_nothing_is_written_when_there_is_nothing() -> None:
    """None stays null."""
    nothing = {"price": None, "at": None}
    assert Written().dump(nothing) == nothing


def test_values_are_found_when_rows_and_mappings_are_dumped() -> None:
    """A row of the database and a dictionary are dumped alike; what is missing is left out."""

    class One(Schema):
        year, month, nothing = fields.Integer(), fields.Integer(), fields.Integer()

    given: list[object] = [datetime(2026, 1, 31, tzinfo=UTC), {"year": 2026, "month": 1}]
    assert One(many=True).dump(given) == [{"year": 2026, "month": 1}] * 2
