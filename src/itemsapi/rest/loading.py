"""Loading: what a schema makes of the few values that were sent, beside its defaults.

marshmallow takes each field through several calls, also those that were not sent: a list has
sixteen parameters, and most requests send one or two. So the fields are prepared once. Whatever is
unusual, an error above all, is left to marshmallow, which finds and reports all errors.
"""

# ruff: noqa: SLF001 - the hooks of a schema have no public name

from typing import Any, NamedTuple

import marshmallow
from marshmallow import ValidationError, fields, missing
from marshmallow.decorators import POST_LOAD, PRE_LOAD, VALIDATES, VALIDATES_SCHEMA

from itemsapi.rest.columns import code_of

_HOOKS = (PRE_LOAD, POST_LOAD, VALIDATES, VALIDATES_SCHEMA)


class PreparedField(NamedTuple):
    """A field of a schema, its key in the data, and its name in the result.

    `decides`: its own code says what to do without a value, not its `load_default` and `required`.
    """

    key: str
    name: str
    field: fields.Field[Any]
    decides: bool


def prepare(schema: marshmallow.Schema) -> list[PreparedField] | None:
    """Return the fields of a schema; None if only marshmallow can load with it."""
    kind = type(schema)
    has_own_way = (
        kind._do_load is not marshmallow.Schema._do_load
        or kind._deserialize is not marshmallow.Schema._deserialize
        or schema.dict_class is not dict
        or any(schema._hooks[hook] for hook in _HOOKS)
    )
    prepared = [_prepare(name, field) for name, field in schema.load_fields.items()]
    has_paths = any("." in each.name for each in prepared)
    has_shared_keys = len({each.key for each in prepared}) < len(prepared)
    return None if has_own_way or has_paths or has_shared_keys else prepared


def _prepare(name: str, field: fields.Field[Any]) -> PreparedField:
    key = name if field.data_key is None else field.data_key
    is_usual = code_of(field.deserialize) is fields.Field.deserialize
    decides = not is_usual or code_of(field._validate_missing) is not fields.Field._validate_missing
    return PreparedField(key, field.attribute or name, field, decides)


def load(prepared: list[PreparedField], data: dict[str, Any]) -> dict[str, Any] | None:
    """Return the loaded data; None if something is missing, unknown or invalid."""
    loaded: dict[str, Any] = {}
    sent = 0
    try:
        for key, name, field, decides in prepared:
            value = data.get(key, missing)
            if value is not missing or decides:
                sent += value is not missing
                value = field.deserialize(value, key, data)
            elif field.required:
                return None
            else:
                default = field.load_default
                value = default() if callable(default) else default
            if value is not missing:
                loaded[name] = value
    except ValidationError:
        return None
    return loaded if sent == len(data) else None
