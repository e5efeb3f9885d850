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
from itemsapi.rest.request import TextValue

INTEGER, BOOLEAN, DATE_TIME, ID = (
    fields.Integer(),
    fields.Boolean(),
    fields.DateTime(),
    fields.Id(),
)
PRICE = fields.Decimal(digits=4, places=2)
ONE_ID = "01a20682-5b4e-771c-aa73-0989317c0367"


class PriceAndTime(Schema):
    """A schema for round trips."""

    price = fields.Decimal(digits=4)
    at = fields.DateTime()


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (INTEGER, 3, 3),
        (INTEGER, TextValue("-3"), -3),
        (BOOLEAN, True, True),
        (BOOLEAN, TextValue("false"), False),
        (PRICE, "12.5", Decimal("12.5")),
        (PRICE, "0", Decimal(0)),
        (fields.Decimal(signed=True), "-1.25", Decimal("-1.25")),
        (ID, ONE_ID, ONE_ID),
        (DATE_TIME, "2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        (DATE_TIME, "2026-01-31t12:00:00.5+02:00", datetime(2026, 1, 31, 10, 0, 0, 500000, UTC)),
    ],
)
def test_value_is_loaded_when_it_has_the_type_of_the_field(
    field: Field[Any], value: object, expected: object
) -> None:
    """S-156: JSON values are not converted; query values are converted to the type of the field."""
    assert field.deserialize(value) == expected


WRONG: tuple[tuple[Field[Any], list[object]], ...] = (
    (INTEGER, [True, 1.0, 1.9, "1", "1_0", None, [1], {}]),
    (
        INTEGER,
        [
            2**53,
            TextValue("9" * 16),
            TextValue("1_0"),
            TextValue("\u0663"),
            TextValue("1" * 5000),
            TextValue(""),
        ],
    ),
    (BOOLEAN, [1, 0, "true", TextValue("yes"), TextValue("1"), TextValue("TRUE"), []]),
    (PRICE, [1, 1.5, "1e3", "NaN", "-1", "+1", "01", "1.", ".5", "1.234"]),
    (PRICE, ["12345", " 1", "1\n", "\u0661", "", True]),
    (DATE_TIME, ["2026-01-31", "2026-01-31T12:00:00", 0, "2026-13-01T00:00:00Z", "now"]),
    (DATE_TIME, ["0001-01-01T00:00:00+23:59", "2026-01-31T12:00:00Z\n"]),
    (ID, ["1", ONE_ID.upper(), ONE_ID + "\n", 7, "../" + ONE_ID]),
)


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WRONG for value in values]
)
def test_value_is_rejected_when_it_needs_conversion(field: Field[Any], value: object) -> None:
    """S-156: no silent conversion, no non-ASCII digits, no other spelling."""
    with pytest.raises(ValidationError):
        field.deserialize(value)


@given(st.decimals(0, 9999, places=2))
def test_price_is_the_same_when_dumped_and_loaded(price: Decimal) -> None:
    """Prices are exact."""
    dumped = PriceAndTime().dump({"price": price})
    assert PriceAndTime().load(dumped) == {"price": price}


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001
def test_time_is_the_same_when_dumped_and_loaded(naive: datetime, hours: int) -> None:
    """RFC 3339: times are written in UTC with the letter Z, whatever their offset is."""
    time = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    dumped = PriceAndTime().dump({"at": time})
    assert dumped["at"].endswith("Z")
    assert PriceAndTime().load(dumped) == {"at": time}


def test_time_counts_as_utc_when_it_has_no_offset() -> None:
    """SQLite returns times without an offset."""
    assert fields.rfc3339(datetime(2026, 1, 31)) == "2026-01-31T00:00:00Z"  # noqa: DTZ001


def test_null_is_dumped_when_the_value_is_none() -> None:
    """None stays null."""
    empty = {"price": None, "at": None}
    assert PriceAndTime().dump(empty) == empty


def test_values_are_found_when_objects_and_mappings_are_dumped() -> None:
    """Objects and dictionaries are dumped alike; missing values are omitted."""

    class Month(Schema):
        year, month, missing = fields.Integer(), fields.Integer(), fields.Integer()

    objects: list[object] = [datetime(2026, 1, 31, tzinfo=UTC), {"year": 2026, "month": 1}]
    assert Month(many=True).dump(objects) == [{"year": 2026, "month": 1}] * 2
