"""Schemas and fields with code of their own behave as in marshmallow, whatever they override."""

import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self

import marshmallow
import pytest
from marshmallow import ValidationError, missing
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from werkzeug.local import LocalProxy

from itemsapi.rest import Schema, fields
from itemsapi.rest.json_provider import dumps

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Day(fields.DateTime):
    """A time that is written as its day."""

    def _serialize(self, value: Any, *_: object, **__: object) -> str | None:
        return None if value is None else value.date().isoformat()


class Days(Schema):
    """A schema with a day."""

    at = Day()


class ZoneWithoutHash(tzinfo):
    """A zone that compares and has no hash, as all zones of `dateutil` do."""

    __hash__ = None  # type: ignore[assignment]  # as `dateutil` does

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tzinfo)

    def utcoffset(self, _: datetime | None) -> timedelta:
        """Return the offset of UTC."""
        return timedelta(0)

    dst = utcoffset

    def tzname(self, _: datetime | None) -> str:
        """Return a name."""
        return "UTC"


class Cents(int):
    """An integer that is made from an amount in euros."""

    def __new__(cls, amount: int) -> Self:
        """Multiply the amount."""
        return super().__new__(cls, amount * 100)


class Amount(marshmallow.fields.Number[Cents]):
    """A number of an own type."""

    num_type = Cents


class Computed(fields.String):
    """A field that has a value when none was sent."""

    def deserialize(self, value: Any, *args: Any, **options: Any) -> Any:
        """Return a constant for what is missing."""
        return "computed" if value is missing else super().deserialize(value, *args, **options)


class Needed(fields.String):
    """A field that decides itself whether it may be missing."""

    def _validate_missing(self, value: object) -> None:
        if value is missing:
            raise ValidationError("Send it.")


def fail() -> None:
    """Reject what was not sent."""
    raise ValidationError("There is no default.")


def twins(members: dict[str, Any], **options: Any) -> tuple[Schema, marshmallow.Schema]:
    """Return a schema of ours and one of marshmallow with the same members."""
    strict: Any = type("Ours", (Schema,), dict(members))
    plain: Any = type("Plain", (marshmallow.Schema,), dict(members))
    return strict(**options), plain(**options)


def loaded(schema: marshmallow.Schema, data: dict[str, Any]) -> object:
    """Return what a schema loads, and its type; or the messages of its error."""
    try:
        result = schema.load(data)
    except ValidationError as error:
        return error.messages
    return type(result), result


def test_a_time_is_written_by_its_field_when_that_overrides_how() -> None:
    """The encoder writes only the times of our own field."""
    schema = Days(many=True)
    assert dumps(schema.dump_for_json([{"at": NOON}] * 2)) == dumps([{"at": "2026-01-31"}] * 2)


def test_a_time_is_written_when_its_zone_has_no_hash() -> None:
    """Zones of `dateutil` have none."""
    schema: Any = type("Times", (Schema,), {"at": fields.DateTime()})()
    written = schema.dump_for_json({"at": NOON.replace(tzinfo=ZoneWithoutHash())})
    assert written == {"at": "2026-01-31T12:00:00Z"}


def test_each_object_of_a_list_is_serialized_by_an_overridden_method() -> None:
    """The method of the subclass is called for the list, and for each of its objects."""

    def serialize(self: Any, obj: Any, *, many: bool = False) -> Any:
        result = super(type(self), self)._serialize(obj, many=many)
        return result if many else result | {"marked": True}

    strict, plain = twins({"name": fields.String(), "_serialize": serialize})
    objects = [{"name": "a"}, {"name": "b"}]
    assert strict.dump(objects, many=True) == plain.dump(objects, many=True)


@pytest.mark.parametrize("many", [False, True])
def test_a_value_at_a_path_is_found_in_dicts(*, many: bool) -> None:
    """A key with a dot in it is another one."""
    strict, plain = twins({"city": fields.String(attribute="address.city")})
    obj: Any = {"address": {"city": "Rome"}, "address.city": "Paris"}
    obj = [obj, obj] if many else obj
    assert strict.dump(obj, many=many) == plain.dump(obj, many=many)


@pytest.mark.parametrize("objects", [[{}], [{}, {}]], ids=["one", "two"])
def test_a_method_of_a_dict_is_no_value(objects: list[dict[str, Any]]) -> None:
    """Here we differ from marshmallow, which would write the method."""
    strict, _ = twins({"items": fields.String()})
    assert strict.dump(objects, many=True) == [{}] * len(objects)


def test_rows_of_sqlalchemy_are_read_as_marshmallow_does() -> None:
    """They have the names of their columns, and are no named tuples."""
    result: Any = IteratorResult(SimpleResultMetaData(["name", "size"]), iter([("a", 1), ("b", 2)]))
    rows = result.all()
    strict, plain = twins({"name": fields.String(), "size": fields.Integer()})
    assert strict.dump(rows, many=True) == plain.dump(rows, many=True)


@pytest.mark.parametrize("many", [False, True])
def test_an_item_is_read_before_an_attribute_of_the_same_name(*, many: bool) -> None:
    """A proxy of a dict has the dict's methods as attributes."""
    strict, plain = twins({"items": fields.String()})
    proxies: Any = [LocalProxy(lambda: {"items": "seven"}), LocalProxy(lambda: {"items": "eight"})]
    obj = proxies if many else proxies[0]
    assert strict.dump(obj, many=many) == plain.dump(obj, many=many)


def test_a_number_of_an_own_type_is_made_by_the_field() -> None:
    """Its type may make another number of it."""
    strict, plain = twins({"price": Amount()})
    assert strict.dump({"price": Cents(1)}) == plain.dump({"price": Cents(1)}) == {"price": 10_000}


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"a": Computed()},
        lambda: {"a": Needed()},
        lambda: {"a": fields.String(load_default=fail)},
        lambda: {"a": fields.String(), "dict_class": OrderedDict},
        lambda: {"a": fields.String(), "_do_load": lambda *_, **__: {"own": True}},
        lambda: {"a": fields.String(), "_deserialize": lambda *_, **__: {"own": True}},
    ],
    ids=["deserialize", "validate_missing", "default fails", "dict_class", "do_load", "own"],
)
@pytest.mark.parametrize("data", [{}, {"a": "text"}], ids=["nothing", "value"])
def test_data_is_loaded_by_the_code_of_the_schema_and_of_its_fields(
    make: Callable[[], dict[str, Any]], data: dict[str, Any]
) -> None:
    """Nothing that a subclass overrides is left out."""
    strict, plain = twins(make())
    assert loaded(strict, data) == loaded(plain, data)


def test_an_unknown_field_is_rejected_when_two_fields_read_one_key() -> None:
    """The keys that were read are counted, and this one is read twice."""
    shared: dict[str, Any] = {"data_key": "x", "load_only": True}
    strict, plain = twins({"a": fields.String(**shared), "b": fields.String(**shared)})
    assert loaded(strict, {"x": "1", "y": "2"}) == loaded(plain, {"x": "1", "y": "2"})


@pytest.mark.parametrize(
    ("name", "value"), [("partial", True), ("many", True), ("unknown", marshmallow.EXCLUDE)]
)
def test_a_schema_is_used_with_its_options_when_they_change(name: str, value: object) -> None:
    """Also after it was used with others."""
    strict, plain = twins({"a": fields.String(load_default="default")})
    for schema in (strict, plain):
        schema.load({})
        setattr(schema, name, value)
    assert loaded(strict, {}) == loaded(plain, {})


@pytest.mark.parametrize(("name", "value"), [("required", True), ("load_default", "new")])
def test_a_schema_is_used_with_the_options_of_its_fields_when_they_change(
    name: str, value: object
) -> None:
    """Also after it was used with others."""
    strict, plain = twins({"a": fields.String()})
    for schema in (strict, plain):
        schema.load({})
        setattr(schema.load_fields["a"], name, value)
    assert loaded(strict, {}) == loaded(plain, {})


@pytest.mark.parametrize("many", [False, True])
def test_a_value_is_masked_when_the_schema_replaces_a_method_of_its_field(*, many: bool) -> None:
    """`on_bind_field` is the hook for that."""

    def mask(_: Schema, __: str, field: Any) -> None:
        vars(field)["_serialize"] = lambda *_, **__: "***"

    strict, _ = twins({"a": fields.String(), "on_bind_field": mask})
    assert strict.dump([{"a": "secret"}] * (1 + many), many=True) == [{"a": "***"}] * (1 + many)


@pytest.mark.parametrize("name", ["deserialize", "_validate_missing"])
def test_data_is_rejected_by_a_replaced_method_of_its_field(name: str) -> None:
    """Also what was not sent."""

    def reject(*_: object, **__: object) -> None:
        raise ValidationError("Never.")

    strict, _ = twins({"a": fields.String()})
    vars(strict.fields["a"])[name] = reject
    assert loaded(strict, {}) == {"a": ["Never."]}


def test_a_copy_of_a_used_schema_may_change_its_fields() -> None:
    """The copy has fields of its own."""
    strict, _ = twins({"a": marshmallow.fields.Integer()})
    assert strict.dump({"a": 7}) == {"a": 7}
    copied = copy.deepcopy(strict)
    vars(copied.fields["a"])["as_string"] = True
    assert (copied.dump({"a": 7}), strict.dump({"a": 7})) == ({"a": "7"}, {"a": 7})


def test_a_used_schema_can_be_pickled() -> None:
    """A schema of marshmallow can be, as for another process."""
    schema = Days(many=True)
    expected = schema.dump([{"at": NOON}] * 2)
    assert pickle.loads(pickle.dumps(schema)).dump([{"at": NOON}] * 2) == expected  # noqa: S301 - ours


@pytest.mark.parametrize("partial", [False, ()])
def test_nested_data_must_be_complete_when_the_outer_schema_says_so(partial: Any) -> None:
    """It overrides what the nested schema says."""

    class Inner(Schema):
        a = fields.String(required=True)

    strict, plain = twins({"inner": fields.Nested(Inner(partial=True))}, partial=partial)
    assert loaded(strict, {"inner": {}}) == loaded(plain, {"inner": {}})
