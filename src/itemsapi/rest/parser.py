"""How the values that a view takes are read, by a schema, from any part of the request."""

from collections.abc import Callable, Mapping
from typing import Literal

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from itemsapi.rest.error_handlers import invalid
from itemsapi.rest.request import Request
from itemsapi.rest.urlencoded import Pairs, Word

Location = Literal["json", "query", "form", "headers", "cookies"]


def read(request: Request, schema: Schema, location: Location, *, required: bool) -> object:
    """Return what `schema` makes of that part of the request.

    Raises `Invalid` with the errors by field, or what reading the part raises.
    """
    if not required and not request.has_body():
        given: object = {}
    else:
        given = _READERS[location](request, schema)
    # Clients send headers and cookies of many kinds along: only there surplus ones are no mistake.
    unknown = EXCLUDE if location in {"headers", "cookies"} else schema.unknown
    try:
        return schema.load(given, unknown=unknown)  # type: ignore[arg-type]  # schemas check the type
    except ValidationError as error:
        raise invalid(error.messages_dict) from None


def _flat(pairs: Pairs, schema: Schema) -> Mapping[str, object]:
    """Return one value for each name, or all of them where the schema wants a list."""
    lists = {
        field.data_key or name
        for name, field in schema.load_fields.items()
        if isinstance(field, fields.List)
    }
    repeated = [name for name, values in pairs.items() if len(values) > 1 and name not in lists]
    if repeated:
        raise invalid(dict.fromkeys(repeated, "Given more than once."))
    return {name: values if name in lists else values[0] for name, values in pairs.items()}


def _headers(request: Request, schema: Schema) -> Mapping[str, object]:
    found: Pairs = {}
    for name, field in schema.load_fields.items():
        key = field.data_key or name
        if values := request.headers.getlist(key):
            found[key] = [Word(value) for value in values]
    return _flat(found, schema)


_READERS: Mapping[Location, Callable[[Request, Schema], object]] = {
    "json": lambda request, _schema: request.get_json(),
    "query": lambda request, schema: _flat(request.query_pairs(), schema),
    "form": lambda request, schema: _flat(request.form_pairs(), schema),
    "headers": _headers,
    "cookies": lambda request, _schema: {n: Word(v) for n, v in request.cookies.items()},
}
