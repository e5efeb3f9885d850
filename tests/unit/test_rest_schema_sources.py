"""Which fields a schema serializes, and where it finds their values."""

import copy
import sqlite3
from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from itemsapi.rest import Schema, fields

USER = {"id": 1, "email": "ada@example.org"}


class User(Schema):
    """A user."""

    id = fields.Integer()
    email = fields.String()


class City(Schema):
    """A city, as a part of an address."""

    city = fields.String(attribute="address.city")


Nest = Callable[[Schema], Any]
NESTS: list[tuple[Nest, Any, Any]] = [
    (lambda user: fields.Nested(user, exclude=("email",)), USER, {"id": 1}),
    (lambda user: fields.Nested(user, only=("id",)), USER, {"id": 1}),
    (lambda user: fields.List(fields.Nested(user, only=("id",))), [USER], [{"id": 1}]),
    (lambda user: fields.Dict(values=fields.Nested(user, only=["id"])), {7: USER}, {7: {"id": 1}}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(NESTS)))
def test_a_nested_schema_excludes_its_fields_when_the_instance_was_used_before(number: int) -> None:
    """The field copies the instance and then removes fields from the copy."""
    nest, value, expected = NESTS[number]
    user = User()
    user.dump(USER)
    order = Schema.from_dict({"owner": nest(user)})()
    assert order.dump({"owner": value}) == {"owner": expected}


def test_a_parent_excludes_a_nested_field_when_the_instance_was_used_before() -> None:
    """`only=("owner.id",)` of the parent removes the other fields of the nested schema."""
    user = User()
    user.dump(USER)
    order = Schema.from_dict({"owner": fields.Nested(user)})(only=("owner.id",))
    assert order.dump({"owner": USER}) == {"owner": {"id": 1}}


def test_a_copy_serializes_its_own_fields_when_the_original_was_used_before() -> None:
    """The original keeps all of its fields."""
    user = User()
    user.dump(USER)
    copied = copy.copy(user)
    copied.exclude = {"email"}
    copied._init_fields()  # noqa: SLF001 - what marshmallow's `Nested` does
    assert (copied.dump(USER), user.dump(USER)) == ({"id": 1}, USER)


@pytest.mark.parametrize(
    "source",
    [
        {"address": {"city": "Bern"}},
        SimpleNamespace(address=SimpleNamespace(city="Bern")),
        {"address": SimpleNamespace(city="Bern")},
    ],
)
def test_a_value_is_found_when_its_attribute_is_a_path(source: Any) -> None:
    """As in marshmallow, through mappings and objects."""
    assert City().dump(source) == {"city": "Bern"}


def test_a_row_of_sqlite3_is_serialized() -> None:
    """It has keys, but is no `Mapping` and has no attributes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT 1 AS id, 'ada@example.org' AS email").fetchone()
    assert User().dump(row) == USER
