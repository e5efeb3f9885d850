"""Schemas serialize exactly as marshmallow does, for all fields and values."""

import enum
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import marshmallow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.rest import Schema, fields


class Colour(enum.Enum):
    """Colours."""

    RED = 1


class Inner(Schema):
    """A nested schema."""

    name = fields.String(required=True)


class Loud(fields.String):
    """A custom field that overrides `_serialize`."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value.upper()


class Elsewhere(fields.String):
    """A custom field that overrides `get_value`."""

    def get_value(self, *_: Any, **__: Any) -> Any:
        """Return a constant."""
        return "elsewhere"


class Alone(fields.String):
    """A custom field that overrides `serialize`."""

    def serialize(self, *_: Any, **__: Any) -> Any:
        """Return a constant."""
        return "alone"


Field = marshmallow.fields.Field[Any]
KINDS: list[Callable[..., Field]] = [
    fields.String, fields.Integer, fields.Boolean, fields.DateTime, fields.Decimal, fields.Id,
    fields.Dict, fields.Url, Loud, Elsewhere, Alone,
    marshmallow.fields.Integer, marshmallow.fields.Float, marshmallow.fields.Decimal,
    marshmallow.fields.Boolean, marshmallow.fields.DateTime, marshmallow.fields.UUID,
    marshmallow.fields.Raw,
    lambda **more: marshmallow.fields.Integer(as_string=True, **more),
    lambda **more: fields.Enum(Colour, **more),
    lambda **more: fields.List(fields.String(), **more),
    lambda **more: fields.List(fields.Integer(), **more),
    lambda **more: fields.Nested(Inner(), **more),
    lambda **more: fields.Nested(Inner(many=True), **more),
    lambda **more: marshmallow.fields.Pluck(Inner(), "name", **more),
    lambda **more: marshmallow.fields.Constant("always", **more),
    lambda **more: marshmallow.fields.Function(str, **more),
]  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "data_key": st.sampled_from(["key{}", "{}"]),  # numbered, so that all keys differ
        "attribute": st.sampled_from(["other{}", "a.b{}"]),
        "dump_default": st.sampled_from([None, "text", 7, lambda: "made"]),
        "load_only": st.booleans(),
    },
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.uuids(),
    st.decimals(), st.datetimes(timezones=st.just(UTC)), st.datetimes(), st.just(Colour.RED),
    st.lists(st.text() | st.integers()), st.just({"name": "inner"}), st.just([{"name": "inner"}]),
    st.just(SimpleNamespace(name="inner")), st.just(marshmallow.missing),
)  # fmt: skip

SAMPLES: list[Any] = [
    None, True, 0, -7, 2**70, 1.5, float("inf"), "text", "7", b"bytes", Decimal("1.50"), Colour.RED,
    uuid.UUID(int=7), datetime(2026, 1, 31, tzinfo=UTC), ["a", 1, None], {"name": "inner"},
    [{"name": "inner"}], SimpleNamespace(name=7), marshmallow.missing,
]  # fmt: skip


def create_field(number: int, kind: Callable[..., Field], options: dict[str, Any]) -> Field:
    """Create a field with numbered names."""
    numbered = {"data_key", "attribute"} & options.keys()
    return kind(**options | {name: options[name].format(number) for name in numbered})


def original(schema: Schema, obj: Any) -> Any:
    """Serialize an object with marshmallow's implementation."""
    return marshmallow.Schema._serialize(schema, obj)  # noqa: SLF001 - the reference


def outcome(serialize: Callable[[], Any]) -> Any:
    """Return the result, or the type of the exception."""
    try:
        return repr(serialize())
    except Exception as error:  # noqa: BLE001 - whatever marshmallow's fields raise
        return type(error)


@given(
    kinds=st.lists(st.tuples(st.sampled_from(KINDS), OPTIONS), min_size=1, max_size=4),
    values=st.lists(VALUES, min_size=12, max_size=12),
    as_mapping=st.booleans(),
)
def test_result_is_the_same_as_marshmallows_for_random_schemas(
    kinds: list[tuple[Callable[..., Field], dict[str, Any]]],
    values: list[Any],
    *,
    as_mapping: bool,
) -> None:
    """Also if the value does not have the type of the field."""
    named = {f"f{n}": create_field(n, kind, options) for n, (kind, options) in enumerate(kinds)}
    schema = type("Made", (Schema,), dict(named))()
    names = [name for n, own in enumerate(named) for name in (own, f"other{n}", f"a.b{n}")]
    attributes = dict(zip(names, values[: len(names)], strict=True))
    obj: Any = attributes if as_mapping else SimpleNamespace(**attributes)
    assert outcome(lambda: schema.dump(obj)) == outcome(lambda: original(schema, obj))


def test_list_is_serialized_element_by_element() -> None:
    """`many=True` serializes each element."""
    rows = [{"name": name} for name in ("a", "b")]
    assert Inner(many=True).dump(rows) == rows


def test_get_attribute_is_called_when_a_schema_overrides_it() -> None:
    """Blueprints may override `get_attribute`."""

    class Own(Inner):
        def get_attribute(self, obj: Any, attr: str, _default: Any) -> Any:
            return f"{attr} of {obj}"

    assert Own().dump(7) == {"name": "name of 7"}


def test_hooks_run_before_and_after_serialization() -> None:
    """`pre_dump` and `post_dump` work as in marshmallow."""

    class Hooked(Inner):
        @marshmallow.pre_dump
        def before(self, obj: Any, **_: Any) -> Any:
            return {"name": obj}

        @marshmallow.post_dump
        def after(self, dumped: dict[str, Any], **_: Any) -> dict[str, Any]:
            return dumped | {"hooked": True}

    assert Hooked().dump("x") == {"name": "x", "hooked": True}


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_result_is_the_same_as_marshmallows_for_each_field_and_value(number: int) -> None:
    """The fast path is used only for fields that allow it."""
    schema = type("Made", (Schema,), {"f": KINDS[number]()})()
    objects = [{"f": value} for value in SAMPLES]
    outcomes = [outcome(lambda obj=obj: schema.dump(obj)) for obj in objects]  # type: ignore[misc]  # mypy cannot type it
    assert outcomes == [outcome(lambda obj=obj: original(schema, obj)) for obj in objects]  # type: ignore[misc]  # as above
