"""The base schema: a marshmallow schema that rejects unknown fields and serializes fast."""

# ruff: noqa: ANN401 - the signatures are marshmallow's
# ruff: noqa: SLF001 - this module replaces marshmallow's `_serialize`

import functools
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, ClassVar, NamedTuple

import marshmallow
from marshmallow import RAISE, fields, missing
from marshmallow.decorators import POST_DUMP, PRE_DUMP

from itemsapi.rest.columns import (
    MISSING,
    NONE,
    Serialize,
    code_of,
    copied_types,
    get_attribute,
    read_columns,
    reads_plainly,
    serialize_by,
    types_of,
)
from itemsapi.rest.loading import PreparedField, load, prepare


class Step(NamedTuple):
    """How to serialize one field.

    `key` is the key in the output, `attr` the name of the field, `name` that of its value.
    A value of the types `copied` stays as it is. `serialize` serializes the values of many objects;
    None if the field finds its value by itself.
    """

    key: str
    attr: str
    name: str
    field: fields.Field[Any]
    copied: frozenset[type]
    serialize: Serialize | None


class Schema(marshmallow.Schema):
    """The base of all schemas: it rejects unknown fields and reads values with plain `getattr`.

    In the document, every field of a response is required and there are no other fields. A field
    that may be missing has `metadata={"optional": True}`. A partial schema is named `...Patch`.
    """

    class Meta:
        """The options of every schema."""

        unknown: ClassVar[str] = RAISE

    # Some fields and their steps, without and with times kept. `Nested(instance, exclude=...)`
    # copies an instance and gives the copy other fields, so steps are used only as long as
    # `dump_fields` are their fields.
    _steps: tuple[Any, list[Step], list[Step]] = (None, [], [])

    # What `loading` prepared for which fields.
    _prepared: tuple[Any, list[PreparedField] | None] = (None, None)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was prepared: a copy may change its fields, and no function is pickled."""
        prepared = {"_steps", "_prepared"}
        return {name: value for name, value in vars(self).items() if name not in prepared}

    def load(self, data: Any, **options: Any) -> Any:
        """Load as marshmallow does, but faster where the data is usual and valid."""
        if type(data) is dict and self._is_strict(options):
            if self._prepared[0] is not self.load_fields:
                self._prepared = self.load_fields, prepare(self)
            prepared = self._prepared[1]
            if prepared is not None:
                loaded = load(prepared, data)
                if loaded is not None:
                    return loaded
        return super().load(data, **options)

    def _is_strict(self, options: Mapping[str, Any]) -> bool:
        """Return whether one object is loaded, without missing or unknown fields."""
        return (
            options.get("unknown", self.unknown) == RAISE == self.unknown
            and options.keys() <= {"unknown"}
            and self.partial is None
            and not self.many
        )

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Read one value as marshmallow does, but never a method of a dict, such as `items`."""
        return get_attribute(obj, attr, default)

    def dump_for_json(self, obj: Any) -> Any:
        """Serialize as `dump` does, except that times in UTC stay: the JSON encoder writes them."""
        if not _is_usual(type(self)):
            return self.dump(obj)
        return self._serialize_any(obj, many=self.many, keep_times=True)

    def _serialize(self, obj: Any, *, many: bool = False) -> Any:
        """Serialize as marshmallow does, but faster; a test compares both implementations."""
        if not _reads_as_usual(type(self)):
            return super()._serialize(obj, many=many)
        return self._serialize_any(obj, many=many, keep_times=False)

    def _serialize_any(self, obj: Any, *, many: bool, keep_times: bool) -> Any:
        if many and obj is not None:
            return self._serialize_many(obj, keep_times=keep_times)
        if not reads_plainly(type(obj)):
            return super()._serialize(obj)
        return self._serialize_one(obj, self._current_steps(keep_times=keep_times))

    def _serialize_many(self, objects: Iterable[Any], *, keep_times: bool) -> list[Any]:
        """Serialize objects of one type together, and others one by one."""
        rows = objects if isinstance(objects, list | tuple) else [*objects]
        kinds = types_of(rows)
        if len(kinds) != 1 or len(rows) == 1 or not reads_plainly(*kinds):
            return [self._serialize_any(row, many=False, keep_times=keep_times) for row in rows]
        return self._serialize_alike(rows, self._current_steps(keep_times=keep_times))

    def _serialize_one(self, obj: Any, steps: Sequence[Step]) -> Any:
        """Serialize one object, for which columns would cost more than they save."""
        serialized = self.dict_class()
        get = obj.get if type(obj) is dict else functools.partial(getattr, obj)
        for key, attr, name, field, copied, serialize in steps:
            if serialize is None:
                value = field.serialize(attr, obj, self.get_attribute)
            else:
                value = get(name, missing)
                if type(value) not in copied:
                    value = serialize((value,), (obj,))[0]
            if value is not missing:
                serialized[key] = value
        return serialized

    def _serialize_alike(self, rows: Sequence[Any], steps: Sequence[Step]) -> list[Any]:
        """Serialize objects of one type, field by field."""
        columns: list[Sequence[Any]] = []
        is_sparse = False
        read = iter(read_columns(rows, [step.name for step in steps if step.serialize]))
        for step in steps:
            if step.serialize:
                values = next(read)
                column = step.serialize(values, rows)
            else:
                values = ()
                column = [step.field.serialize(step.attr, row, self.get_attribute) for row in rows]
            columns.append(column)
            is_sparse |= column is not values and MISSING in types_of(column)
        keys, make = [step.key for step in steps], self.dict_class
        if is_sparse or not columns:
            return [self._without_missing(keys, columns, index) for index in range(len(rows))]
        pairs = map(zip, repeat(keys), zip(*columns, strict=True))
        return [*map(make, pairs)]  # no code in Python runs for each object

    def _without_missing(
        self, keys: Sequence[str], columns: Sequence[Sequence[Any]], index: int
    ) -> Any:
        """Return the serialized object with this index, without the fields that are missing."""
        values = [column[index] for column in columns]
        pairs = zip(keys, values, strict=True)
        return self.dict_class((key, value) for key, value in pairs if value is not missing)

    def _current_steps(self, *, keep_times: bool) -> list[Step]:
        if self._steps[0] is not self.dump_fields:
            named = self.dump_fields.items()
            without, kept = (
                [_step(*field, keep_times=keep) for field in named] for keep in (False, True)
            )
            self._steps = self.dump_fields, without, kept
        return self._steps[2] if keep_times else self._steps[1]


def _step(attr: str, field: fields.Field[Any], *, keep_times: bool) -> Step:
    """Return how to serialize a field.

    A field that overrides how its value is found, one without a value, and one whose value is at a
    path such as `address.city` serialize themselves.
    """
    name = attr if field.attribute is None else field.attribute
    is_plain = (
        code_of(field.serialize) is fields.Field.serialize
        and code_of(field.get_value) is fields.Field.get_value
        and field._CHECK_ATTRIBUTE
        and "." not in name
    )
    dump_many = functools.partial(_dump_many, keep_times=keep_times)
    serialize = serialize_by(field, attr, dump_many=dump_many, keep_times=keep_times)
    key = attr if field.data_key is None else field.data_key
    copied = copied_types(field) or frozenset()
    return Step(key, attr, name, field, copied, serialize if is_plain else None)


def _dump_many(
    schema: marshmallow.Schema, objects: Iterable[Any], *, keep_times: bool
) -> list[Any]:
    """Serialize nested objects with their schema; None stays None."""
    rows = [*objects]
    if not isinstance(schema, Schema) or not _is_usual(type(schema)) or NONE in types_of(rows):
        return [None if row is None else schema.dump(row, many=False) for row in rows]
    return schema._serialize_many(rows, keep_times=keep_times)


def slow_reason(schema: marshmallow.Schema) -> str | None:
    """Return why objects are not serialized together with a schema; None if they are."""
    if not isinstance(schema, Schema):
        return "is a schema of marshmallow; derive it from itemsapi.rest.Schema"
    if schema._hooks[PRE_DUMP] or schema._hooks[POST_DUMP]:
        return "has a hook, @pre_dump or @post_dump"
    return None if _is_usual(type(schema)) else "overrides how marshmallow serializes"


@functools.lru_cache(maxsize=1024)
def _is_usual(kind: type[Schema]) -> bool:
    """Return whether no hook and no method of a subclass takes part in serializing."""
    has_hooks = kind._hooks[PRE_DUMP] or kind._hooks[POST_DUMP]
    return not has_hooks and kind.dump is Schema.dump and _reads_as_usual(kind)


def _reads_as_usual(kind: type[Schema]) -> bool:
    """Return whether a subclass serializes single objects, and reads their values, in our way."""
    return kind._serialize is Schema._serialize and kind.get_attribute is Schema.get_attribute
