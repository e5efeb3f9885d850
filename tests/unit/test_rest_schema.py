"""Schemas serialize exactly as marshmallow does, for all fields and values."""

import enum
import uuid
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import marshmallow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.rest import Schema, fields
from itemsapi.rest.json_provider import dumps


class Colour(enum.Enum):
    """Colours."""

    RED = 1


class Inner(Schema):
    """A nested schema."""

    name = fields.String(required=True)


class Moment(Schema):
    """A schema with a time."""

    at = fields.DateTime(required=True)


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
        "load_default": st.sampled_from([None, "text", 7, list]),
        "allow_none": st.booleans(),
        "required": st.booleans(),
    },
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.uuids(),
    st.decimals(), st.datetimes(timezones=st.just(UTC)), st.datetimes(), st.just(Colour.RED),
    st.datetimes(timezones=st.just(timezone(timedelta(hours=9)))),
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
    options = {
        n: o for n, o in options.items() if n != "load_default" or not options.get("required")
    }
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


def outcome_of_list(serialize: Callable[[], Any]) -> Any:
    """Return the result, or that there is an exception.

    If several values raise one, it is that of another value than with marshmallow: values are
    serialized field by field, and not object by object.
    """
    result = outcome(serialize)
    return Exception if isinstance(result, type) else result


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


def build(kinds: list[tuple[Callable[..., Field], dict[str, Any]]]) -> tuple[Schema, list[str]]:
    """Return a schema with fields of these kinds, and the names of values that they may read."""
    named = {f"f{n}": create_field(n, kind, options) for n, (kind, options) in enumerate(kinds)}
    schema = type("Made", (Schema,), dict(named))()
    return schema, [name for n, own in enumerate(named) for name in (own, f"other{n}")]


RANDOM_KINDS = st.lists(st.tuples(st.sampled_from(KINDS), OPTIONS), min_size=1, max_size=4)
ROWS = st.lists(st.lists(VALUES, min_size=8, max_size=8), max_size=4)
SHAPES: list[Callable[[dict[str, Any]], Any]] = [
    dict,
    lambda values: SimpleNamespace(**values),
    lambda values: namedtuple("Row", values)(*values.values()),  # noqa: PYI024 - names of the test
    lambda values: {name: value for name, value in values.items() if value is not None},
]


@given(kinds=RANDOM_KINDS, rows=ROWS, shapes=st.lists(st.sampled_from(SHAPES), min_size=4))
def test_a_list_is_serialized_as_marshmallow_does_for_random_schemas(
    kinds: list[tuple[Callable[..., Field], dict[str, Any]]],
    rows: list[list[Any]],
    shapes: list[Callable[[dict[str, Any]], Any]],
) -> None:
    """The values of one field are serialized together; objects may differ in type and fields."""
    schema, names = build(kinds)
    pairs = zip(rows, shapes, strict=False)
    objects = [shape(dict(zip(names, row, strict=False))) for row, shape in pairs]
    expected = outcome_of_list(lambda: [original(schema, each) for each in objects])
    assert outcome_of_list(lambda: schema.dump(objects, many=True)) == expected


@given(kinds=RANDOM_KINDS, rows=ROWS, shape=st.sampled_from(SHAPES), many=st.booleans())
def test_the_json_is_the_same_when_times_are_left_to_the_encoder(
    kinds: list[tuple[Callable[..., Field], dict[str, Any]]],
    rows: list[list[Any]],
    shape: Callable[[dict[str, Any]], Any],
    *,
    many: bool,
) -> None:
    """The bytes of a response are those of marshmallow's data, whatever the times."""
    schema, names = build(kinds)
    schema.many = many
    objects = [shape(dict(zip(names, row, strict=False))) for row in rows]
    obj = objects if many else (objects or [{}])[0]
    expected = outcome_of_list(lambda: dumps(marshmallow.Schema.dump(schema, obj)))
    assert outcome_of_list(lambda: dumps(schema.dump_for_json(obj))) == expected


@given(kinds=RANDOM_KINDS, values=st.lists(VALUES, min_size=4, max_size=4), sent=st.data())
def test_data_is_loaded_as_marshmallow_does_for_random_schemas(
    kinds: list[tuple[Callable[..., Field], dict[str, Any]]], values: list[Any], sent: st.DataObject
) -> None:
    """Also what is missing, unknown or invalid, and the order of the result."""
    schema, _ = build(kinds)
    names = [*(field.data_key or name for name, field in schema.fields.items()), "unknown"]
    chosen = sent.draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    data = dict(zip(chosen, values, strict=False))
    expected = outcome(lambda: marshmallow.Schema.load(schema, data))
    assert outcome(lambda: schema.load(data)) == expected


@pytest.mark.parametrize(
    "time",
    [
        datetime(2026, 1, 31, 9, tzinfo=timezone(timedelta(hours=9))),
        datetime(2026, 1, 31),  # noqa: DTZ001 - it counts as UTC
        datetime(2026, 1, 31, tzinfo=UTC),
    ],
    ids=["Tokyo", "without a zone", "UTC"],
)
def test_a_time_of_any_zone_is_written_in_utc(time: datetime) -> None:
    """The encoder would write its own offset."""
    written = dumps(Moment(many=True).dump_for_json([{"at": time}, {"at": time}]))
    assert written == dumps([{"at": "2026-01-31T00:00:00Z"}] * 2)


def test_a_property_is_read_where_it_replaces_a_field_of_a_named_tuple() -> None:
    """A subclass may show another value than the tuple has."""

    class Shown(namedtuple("Stored", "name")):  # noqa: PYI024, SLOT002 - only for this test
        @property
        def name(self) -> str:
            """Show another name."""
            return "shown"

    assert Inner(many=True).dump([Shown("stored")] * 2) == [{"name": "shown"}] * 2


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
