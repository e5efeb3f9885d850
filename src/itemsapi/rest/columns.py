"""Columns: the values of one field of many objects, serialized together.

marshmallow serializes value by value, with several calls for each. Most values need nothing: a
string, a number or None is copied. So all values of a field are looked at together: if they have
only types that the field copies, the column is finished. The field itself serializes all others, so
nothing is assumed about the objects; tests/unit/test_rest_schema.py compares the results with
marshmallow's for every kind of field.
"""

# ruff: noqa: ANN401 - the values are anything
# ruff: noqa: SLF001 - the fields' own `_serialize` does what is not done here

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from types import FunctionType
from typing import Any, Final, NamedTuple

from marshmallow import fields, missing
from marshmallow.utils import get_value

from itemsapi.rest.fields import DateTime


class _Example(NamedTuple):
    """A named tuple, to know the type of the fields of all of them."""

    value: int


_FIELD: type = type(_Example.value)
Values = Sequence[Any]
# Serializes the values of one field; the second parameter are the objects that have them.
Serialize = Callable[[Values, Values], Values]
DumpMany = Callable[[Any, Iterable[Any]], list[Any]]  # a nested schema and its objects

NONE = type(None)
MISSING = type(missing)
_SEQUENCES = frozenset({list, tuple, NONE})
_TIMES = frozenset({datetime, NONE})
_NUMBERS: Final = {int, float, Decimal}  # each makes an equal number of one of its own type


def types_of(values: Iterable[Any]) -> set[type]:
    """Return the types of these values."""
    return set(map(type, values))


def code_of(method: Any) -> object:
    """Return the function of a method; None if it belongs to one object instead of its class."""
    return getattr(method, "__func__", None)


def get_attribute(obj: Any, attr: str, default: Any) -> Any:
    """Read one value as marshmallow does, but never a method of a dict, such as `items`."""
    if type(obj) is dict and "." not in attr:
        return obj.get(attr, default)
    return get_value(obj, attr, default)


def read_columns(objects: Values, names: Sequence[str]) -> list[Values]:
    """Return the values of each name, in the order of the objects, which are all of one type.

    A value that an object does not have is `missing`. `reads_plainly` says for which types this
    finds what marshmallow finds.
    """
    kind = type(objects[0])
    if kind is dict:
        return [[each.get(name, missing) for each in objects] for name in names]
    positions = _positions(kind, names)
    if positions is None:
        return [[getattr(each, name, missing) for each in objects] for name in names]
    columns = [*zip(*objects, strict=True)]
    return [columns[position] for position in positions]


def reads_plainly(kind: type) -> bool:
    """Return whether the values of objects of this type are keys of a dict, or else attributes.

    marshmallow tries `obj[name]` first, which raises and catches an exception for each value of a
    named tuple. Sequences in C, such as this one, find nothing by a name; whatever else has items
    may have one with the name of an attribute.
    """
    if kind is dict or not hasattr(kind, "__getitem__"):
        return True
    is_native = issubclass(kind, Sequence) and not isinstance(kind.__getitem__, FunctionType)
    return is_native and not hasattr(kind, "keys")


def _positions(kind: type, names: Sequence[str]) -> list[int] | None:
    """Return where a named tuple has these values; None if any of them is no field of it."""
    own: tuple[str, ...] = getattr(kind, "_fields", ())
    if not issubclass(kind, tuple) or not set(names) <= set(own):
        return None
    is_field = all(type(getattr(kind, name)) is _FIELD for name in names)  # a subclass may differ
    return [own.index(name) for name in names] if is_field else None


def serialize_by(
    field: fields.Field[Any], attr: str, *, dump_many: DumpMany, keep_times: bool
) -> Serialize:
    """Return what serializes the values of `field`, whose name in the schema is `attr`.

    `keep_times`: leave a time in UTC as it is, because the JSON encoder writes it alike.
    """
    one_by_one = _one_by_one(field, attr)
    serialize = code_of(field._serialize)
    if serialize is fields.Nested._serialize:
        return _nested(field, dump_many, one_by_one)
    if serialize is fields.List._serialize:
        return _list(field, dump_many, one_by_one)
    copied = copied_types(field)
    if keep_times and serialize is DateTime._serialize:  # which writes as the JSON encoder does
        return _times(one_by_one)
    if copied is None:
        return one_by_one

    def copy_or_serialize(values: Values, objects: Values) -> Values:
        """Copy a column that has only types which the field copies."""
        return values if types_of(values) <= copied else one_by_one(values, objects)

    return copy_or_serialize


def copied_types(field: fields.Field[Any]) -> frozenset[type] | None:
    """Return the types whose values the field copies unchanged, None included, if it copies any."""
    serialize = code_of(field._serialize)
    if serialize is fields.String._serialize:
        return frozenset({str, NONE})
    if isinstance(field, fields.Number) and serialize is fields.Number._serialize:
        is_plain = code_of(field._format_num) is fields.Number._format_num and not field.as_string
        is_copied = is_plain and field.num_type in _NUMBERS
        return frozenset({field.num_type, NONE}) if is_copied else None
    is_unchanged = serialize is fields.Field._serialize
    return frozenset({bool, int, float, str, NONE}) if is_unchanged else None


def _one_by_one(field: fields.Field[Any], attr: str) -> Serialize:
    def serialize(values: Values, objects: Values) -> Values:
        """Let the field serialize each value; it knows the default of a missing one."""
        return [
            field.serialize(attr, each, get_attribute)  # perhaps `each[name]`, or a default
            if value is missing
            else field._serialize(value, attr, each)
            for value, each in zip(values, objects, strict=True)
        ]

    return serialize


def _times(one_by_one: Serialize) -> Serialize:
    def serialize(values: Values, objects: Values) -> Values:
        """Leave a column of times in UTC as it is."""
        if not types_of(values) <= _TIMES:
            return one_by_one(values, objects)
        # Not a set of zones: those of `dateutil` have no hash.
        others = [v for v in values if v is not None and v.tzinfo is not UTC]
        return one_by_one(values, objects) if others else values

    return serialize


def _list(field: Any, dump_many: DumpMany, one_by_one: Serialize) -> Serialize:
    copied, inner = copied_types(field.inner), field.inner
    is_nested = code_of(inner._serialize) is fields.Nested._serialize

    def serialize(values: Values, objects: Values) -> Values:
        """Serialize lists of nested objects together; copy lists of values that are copied."""
        if not types_of(values) <= _SEQUENCES:
            return one_by_one(values, objects)
        if is_nested and not (inner.schema.many or inner.many):
            return [None if each is None else dump_many(inner.schema, each) for each in values]
        elements = chain.from_iterable(each for each in values if each is not None)
        if copied is not None and types_of(elements) <= copied:
            return [None if each is None else [*each] for each in values]
        return one_by_one(values, objects)

    return serialize


def _nested(field: Any, dump_many: DumpMany, one_by_one: Serialize) -> Serialize:
    def serialize(values: Values, objects: Values) -> Values:
        """Serialize the nested objects of all objects together."""
        if field.schema.many or field.many or types_of(values) & {NONE, MISSING}:
            return one_by_one(values, objects)
        return dump_many(field.schema, values)

    return serialize
