"""Schemas of responses whose objects are serialized one by one.

Their responses are right, and slower: to serialize fifty objects takes three to twelve times as
long (measured, ten fields each).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import marshmallow
from marshmallow import fields

from itemsapi.gate.decorators import handler_of
from itemsapi.rest.etags import view_metadata
from itemsapi.rest.schema import slow_reason

RESPONSE_SCHEMAS = "itemsapi_response_schemas"  # in the metadata of a view


def slow_response_schemas(views: Iterable[tuple[str, object, str]]) -> Iterator[str]:
    """Yield a line for each schema: which one it is, the first route that uses it, and why.

    `views` are the method and path of each route, its view, and the method.
    """
    seen: set[type] = set()
    for route, view, method in views:
        for root in view_metadata(handler_of(view, method)).get(RESPONSE_SCHEMAS, ()):
            for schema in _with_nested(root):
                reason = slow_reason(schema)
                if reason and type(schema) not in seen:
                    seen.add(type(schema))
                    yield f"{type(schema).__name__}, of {route}, {reason}: it is slower"


def _with_nested(schema: object) -> Iterator[marshmallow.Schema]:
    """Yield a schema and those of its nested fields, each class once."""
    waiting, seen = [schema], set()
    while waiting:
        current: Any = waiting.pop()
        if isinstance(current, fields.Field):
            waiting += _within(current)
        elif isinstance(current, marshmallow.Schema) and type(current) not in seen:
            seen.add(type(current))
            yield current
            waiting += current.dump_fields.values()


def _within(field: Any) -> Iterator[Any]:  # noqa: ANN401 - a field of any kind
    """Yield the schema of a nested field, or the fields of what a list, tuple or dict holds."""
    if isinstance(field, fields.Nested):
        yield field.schema
    yield from getattr(field, "tuple_fields", ())
    yield getattr(field, "inner", None)
    yield getattr(field, "value_field", None)
