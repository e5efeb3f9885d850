"""The base schema: a marshmallow schema that rejects unknown fields and serializes fast."""

# ruff: noqa: ANN401 - the signatures are marshmallow's
# ruff: noqa: SLF001 - this module replaces parts of marshmallow's `serialize`

import functools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import marshmallow
from marshmallow import RAISE, fields, missing
from marshmallow.utils import get_value


class Step(NamedTuple):
    """How to serialize one field.

    `name` is the name of the source value, `key` the key in the output. A value whose type is
    exactly `plain` is copied unchanged. `direct` is true if the field does not override how its
    value is found, and the name is not a path such as `address.city`.
    """

    key: str
    name: str
    attr: str
    plain: type | None
    direct: bool
    field: fields.Field[Any]


class Schema(marshmallow.Schema):
    """The base of all schemas: it rejects unknown fields and reads values with plain `getattr`.

    In the document, every field of a response is required and there are no other fields. A field
    that may be missing has `metadata={"optional": True}`. A partial schema is named `...Patch`.
    """

    class Meta:
        """The options of every schema."""

        unknown: ClassVar[str] = RAISE

    # Some fields and their steps. `Nested(instance, exclude=...)` copies an instance and gives the
    # copy other fields, so steps are used only as long as `dump_fields` are their fields.
    _steps: tuple[Any, list[Step]] = (None, [])

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Read one value as marshmallow does, but never a method of a dict, such as `items`."""
        if type(obj) is dict and "." not in attr:
            return obj.get(attr, default)
        return get_value(obj, attr, default)

    def _serialize(self, obj: Any, *, many: bool = False) -> Any:
        """Serialize as marshmallow does, but faster: lists spend most of their time here.

        Most values are strings and numbers, which are copied unchanged. Other values are serialized
        by their field, as in marshmallow; a test compares both implementations.
        """
        if type(self).get_attribute is not Schema.get_attribute:
            return super()._serialize(obj, many=many)
        steps = self._current_steps()
        if many and obj is not None:
            return [self._serialize_one(each, steps) for each in obj]
        return self._serialize_one(obj, steps)

    def _serialize_one(self, obj: Any, steps: list[Step]) -> Any:
        serialized = self.dict_class()
        get = _getter(obj)
        for key, name, attr, plain, direct, field in steps:
            value = get(name, missing) if direct else missing
            if type(value) is not plain:
                if value is not missing:
                    value = field._serialize(value, attr, obj)
                else:
                    value = field.serialize(attr, obj, accessor=self.get_attribute)
                if value is missing:
                    continue
            serialized[key] = value
        return serialized

    def _current_steps(self) -> list[Step]:
        dump_fields, steps = self._steps
        if dump_fields is not self.dump_fields:
            dump_fields = self.dump_fields
            steps = [_step(attr, field) for attr, field in dump_fields.items()]
            self._steps = dump_fields, steps
        return steps


def _getter(obj: Any) -> Callable[[str, Any], Any]:
    """Return what reads a value of this object by its name.

    `get_value` raises and catches an exception for each value of a named tuple. What `getattr` does
    not find is read by `get_attribute`.
    """
    if type(obj) is dict:
        return obj.get
    if hasattr(type(obj), "keys"):  # such as a row of `sqlite3`
        return functools.partial(get_value, obj)
    return functools.partial(getattr, obj)


def _step(attr: str, field: fields.Field[Any]) -> Step:
    kind = type(field)
    name = attr if field.attribute is None else field.attribute
    direct = (
        kind.serialize is fields.Field.serialize
        and kind.get_value is fields.Field.get_value
        and field._CHECK_ATTRIBUTE  # false if the field reads no attribute
        and "." not in name
    )
    plain = _plain_type(field) if direct else None
    key = attr if field.data_key is None else field.data_key
    return Step(key, name, attr, plain, direct, field)


def _plain_type(field: fields.Field[Any]) -> type | None:
    """Return the type whose values the field copies unchanged, if there is one."""
    serialize = type(field)._serialize
    if serialize is fields.String._serialize:
        return str
    if isinstance(field, fields.Integer) and serialize is fields.Number._serialize:
        is_int = type(field)._format_num is fields.Number._format_num and field.num_type is int
        return int if is_int and not field.as_string else None
    return bool if serialize is fields.Field._serialize else None
