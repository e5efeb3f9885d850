"""Values that orjson alone does not write: large integers, and keys that are not strings."""

import uuid
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest

from itemsapi.rest.etags import content_hash
from itemsapi.rest.json_provider import dumps, read
from itemsapi.rest.request import TextValue


class Colour(StrEnum):
    """A colour."""

    RED = "red"


@dataclass
class Stock:
    """A row with a private field."""

    amount: int
    _secret: int = 7


VALUES: list[tuple[Any, bytes]] = [
    ({"n": 10**20, "m": -(2**64)}, b'{"n":100000000000000000000,"m":-18446744073709551616}'),
    ([2**64 - 1, (10**20,)], b"[18446744073709551615,[100000000000000000000]]"),
    ({1: Decimal("1.50"), 10**20: None}, b'{"1":"1.50","100000000000000000000":null}'),
    ({True: 1, None: 2, 1.5: 3, Decimal("0.1"): 4}, b'{"true":1,"null":2,"1.5":3,"0.1":4}'),
    ({TextValue("a"): 1, Colour.RED: 2}, b'{"a":1,"red":2}'),
    ({uuid.UUID(int=1): 1}, b'{"00000000-0000-0000-0000-000000000001":1}'),
    (Stock(10**20), b'{"amount":100000000000000000000}'),
]


@pytest.mark.parametrize(("value", "text"), VALUES)
def test_a_value_is_written_when_orjson_alone_rejects_it(value: object, text: bytes) -> None:
    """As Flask's own JSON provider writes it; decimals are strings."""
    assert dumps(value) == text


@pytest.mark.parametrize("value", [{1}, {"a": object()}, {1: {2}}, b"bytes", Stock])
def test_a_hash_is_refused_when_the_data_is_not_json(value: object) -> None:
    """The text of an object contains its address, and that of a set has any order."""
    with pytest.raises(TypeError):
        content_hash(value)


@pytest.mark.parametrize("value", [{"a": 1, 2: Decimal(1)}, {"a": 10**20, "b": {"c": 1, "d": 2}}])
def test_a_hash_does_not_depend_on_the_order_of_keys(value: dict[Any, Any]) -> None:
    """Also if orjson alone does not write the data."""
    assert content_hash(value) == content_hash(dict(reversed(value.items())))


@pytest.mark.parametrize("number", [2**63 - 1, 2**64, -(2**64) - 1, 10**99, 0.12345678901234567])
def test_a_long_number_is_read_exactly(number: float) -> None:
    """The integer field of marshmallow would accept a rounded one, which has another value."""
    assert repr(read(dumps({"n": number}))) == repr({"n": number})
