"""What goes in and out as JSON: marshmallow schemas that take nothing they do not know."""

# ruff: noqa: ANN401 - the signatures are marshmallow's
# ruff: noqa: SLF001 - what fields do within `serialize` is what is done here

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import marshmallow
from marshmallow import RAISE, fields, missing


class Step(NamedTuple):
    """How one field is written.

    `name` is where its value is found, `key` where it goes. A value whose type is exactly `plain`
    goes there as it is. `direct`: nobody changed how the field finds its value.
    """

    key: str
    name: str
    attr: str
    plain: type | None
    direct: bool
    field: fields.Field[Any]


class Schema(marshmallow.Schema):
    """The base of our schemas: unknown fields are refused, values are read by plain `getattr`.

    In the document every field of an answer is required and none is sent beside them; one that may
    be missing says so with `metadata={"optional": True}`. A partial schema is named `...Patch`.
    """

    class Meta:
        """How every schema behaves."""

        unknown: ClassVar[str] = RAISE

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Read one value; marshmallow's own way raises and catches once per field of a row."""
        if isinstance(obj, Mapping):
            return obj.get(attr, default)
        return getattr(obj, attr, default)

    def _serialize(self, obj: Any, *, many: bool = False) -> Any:
        """Write what marshmallow would, in a fraction of the time: a list is mostly this.

        Most values are text and numbers that go out as they are. The others are handed to their
        field, as marshmallow does; a test holds the two against each other.
        """
        if type(self).get_attribute is not Schema.get_attribute:
            return super()._serialize(obj, many=many)
        if many and obj is not None:
            return [self._written(each) for each in obj]
        return self._written(obj)

    def _written(self, obj: Any) -> Any:
        written = self.dict_class()
        found = obj.get if isinstance(obj, Mapping) else functools.partial(getattr, obj)
        for key, name, attr, plain, direct, field in self._steps:
            value = found(name, missing)
            if type(value) is not plain:
                if direct and value is not missing:
                    value = field._serialize(value, attr, obj)
                else:
                    value = field.serialize(attr, obj, accessor=self.get_attribute)
                if value is missing:
                    continue
            written[key] = value
        return written

    @functools.cached_property
    def _steps(self) -> list[Step]:
        return [_step(attr, field) for attr, field in self.dump_fields.items()]


def _step(attr: str, field: fields.Field[Any]) -> Step:
    kind = type(field)
    direct = (
        kind.serialize is fields.Field.serialize
        and kind.get_value is fields.Field.get_value
        and field._CHECK_ATTRIBUTE  # false where a field has no value of its own
    )
    plain = _plain(field) if direct else None
    key = attr if field.data_key is None else field.data_key
    name = attr if field.attribute is None else field.attribute
    return Step(key, name, attr, plain, direct, field)


def _plain(field: fields.Field[Any]) -> type | None:
    """Return the type of which the field writes every value as it is, if there is one."""
    way = type(field)._serialize
    if way is fields.String._serialize:
        return str
    if isinstance(field, fields.Integer) and way is fields.Number._serialize:
        whole = type(field)._format_num is fields.Number._format_num and field.num_type is int
        return int if whole and not field.as_string else None
    return bool if way is fields.Field._serialize else None
