"""Schemas write what marshmallow writes, whatever the fields and the values."""

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
    """Some colours."""

    RED = 1


class Inner(Schema):
    """Something within something."""

    name = fields.String(required=True)


class Loud(fields.String):
    """A field of a page's own, which writes in its own way."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value.upper()


class Elsewhere(fields.String):
    """A field of a page's own, which finds its value in its own way."""

    def get_value(self, *_: Any, **__: Any) -> Any:
        """Return the same whatever is asked."""
        return "elsewhere"


class Alone(fields.String):
    """A field of a page's own, which does all of it in its own way."""

    def serialize(self, *_: Any, **__: Any) -> Any:
        """Return the same whatever is there."""
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
        "data_key": st.sampled_from(["key{}", "{}"]),  # with a number: no two may be the same
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


def made(number: int, kind: Callable[..., Field], options: dict[str, Any]) -> Field:
    """Make a field."""
    numbered = {"data_key", "attribute"} & options.keys()
    return kind(**options | {name: options[name].format(number) for name in numbered})


def original(schema: Schema, obj: Any) -> Any:
    """Write an object in marshmallow's own way."""
    return marshmallow.Schema._serialize(schema, obj)  # noqa: SLF001 - what ours stands in for


def outcome(write: Callable[[], Any]) -> Any:
    """Return what was written, or how that failed."""
    try:
        return repr(write())
    except Exception as error:  # noqa: BLE001 - whatever marshmallow's fields raise
        return type(error)


@given(
    kinds=st.lists(st.tuples(st.sampled_from(KINDS), OPTIONS), min_size=1, max_size=4),
    values=st.lists(VALUES, min_size=12, max_size=12),
    as_mapping=st.booleans(),
)
def test_the_same_is_written_as_marshmallow_writes(
    kinds: list[tuple[Callable[..., Field], dict[str, Any]]],
    values: list[Any],
    *,
    as_mapping: bool,
) -> None:
    """Also where a value is none that the field expects."""
    named = {f"f{n}": made(n, kind, options) for n, (kind, options) in enumerate(kinds)}
    schema = type("Made", (Schema,), dict(named))()
    names = [name for n, own in enumerate(named) for name in (own, f"other{n}", f"a.b{n}")]
    given_ones = dict(zip(names, values[: len(names)], strict=True))
    obj: Any = given_ones if as_mapping else SimpleNamespace(**given_ones)
    assert outcome(lambda: schema.dump(obj)) == outcome(lambda: original(schema, obj))


def test_a_list_is_written_one_by_one() -> None:
    """Each with the same steps."""
    rows = [{"name": name} for name in ("a", "b")]
    assert Inner(many=True).dump(rows) == rows


def test_a_schema_that_reads_in_its_own_way_is_asked() -> None:
    """Pages may override `get_attribute`."""

    class Own(Inner):
        def get_attribute(self, obj: Any, attr: str, _default: Any) -> Any:
            return f"{attr} of {obj}"

    assert Own().dump(7) == {"name": "name of 7"}


def test_hooks_still_run() -> None:
    """They are called around the writing."""

    class Hooked(Inner):
        @marshmallow.pre_dump
        def before(self, obj: Any, **_: Any) -> Any:
            return {"name": obj}

        @marshmallow.post_dump
        def after(self, written: dict[str, Any], **_: Any) -> dict[str, Any]:
            return written | {"hooked": True}

    assert Hooked().dump("x") == {"name": "x", "hooked": True}


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_each_kind_of_field_writes_each_kind_of_value_alike(number: int) -> None:
    """None of them takes a short cut that it must not take."""
    schema = type("Made", (Schema,), {"f": KINDS[number]()})()
    objects = [{"f": value} for value in SAMPLES]
    found = [outcome(lambda obj=obj: schema.dump(obj)) for obj in objects]  # type: ignore[misc]  # mypy cannot type it
    assert found == [outcome(lambda obj=obj: original(schema, obj)) for obj in objects]  # type: ignore[misc]  # as above
