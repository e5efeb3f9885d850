"""Every response schema in use serializes as marshmallow does, whatever a view returns."""

import random
from collections import namedtuple
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import marshmallow
import pytest
from marshmallow import fields as plain

from itemsapi.gate.decorators import handler_of
from itemsapi.rest.etags import view_metadata
from itemsapi.rest.json_provider import dumps
from itemsapi.rest.slow_schemas import RESPONSE_SCHEMAS, slow_response_schemas
from support.app_factory import Backend

VALUES: list[Any] = [
    None, True, 0, -7, 2**53, 1.5, "", "text", "ünïcode \U0001f600", b"bytes", Decimal("1.50"),
    datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 1, 31, 12, 0, 0, 7, tzinfo=UTC),
    datetime(1, 1, 1), ["a", "b"], ("a",), ["a", 1, None], {"name": "inner"}, [], {},  # noqa: DTZ001 - a time without a zone
]  # fmt: skip
ROUNDS = 40


def response_schemas(backend: Backend) -> Iterator[marshmallow.Schema]:
    """Yield the schema of each response, once."""
    seen: set[int] = set()
    for view in backend.app.view_functions.values():
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            for schema in view_metadata(handler_of(view, method)).get(RESPONSE_SCHEMAS, ()):
                if isinstance(schema, marshmallow.Schema) and id(schema) not in seen:
                    seen.add(id(schema))
                    yield schema


def likely(field: Any, random_: random.Random) -> Any:
    """Return a value that a view may return for a field, or one that it should not."""
    inner = getattr(field, "inner", field)
    if random_.random() < 0.2:
        return random_.choice(VALUES)
    if isinstance(inner, plain.Nested):
        made = [make(inner.schema, random_) for _ in range(random_.randint(0, 3))]
        is_list = inner is not field or inner.schema.many or inner.many
        return made if is_list else (made or [None])[0]
    return random_.choice([value for value in VALUES if isinstance(value, str | datetime)])


def make(schema: marshmallow.Schema, random_: random.Random) -> Any:
    """Return an object that a view may return: a dict, a named tuple or another object."""
    values = {name: likely(field, random_) for name, field in schema.dump_fields.items()}
    shapes: list[Callable[[], Any]] = [
        lambda: values,
        lambda: SimpleNamespace(**values),
        lambda: namedtuple("Record", values)(*values.values()),  # noqa: PYI024 - names of the test
    ]
    return random_.choice(shapes)()


def outcome(serialize: Callable[[], Any]) -> Any:
    """Return the bytes of a response; with several wrong values, either may be reported first."""
    try:
        return dumps(serialize())
    except Exception:  # noqa: BLE001 - whatever the fields raise
        return "an error"


def slowly(schema: marshmallow.Schema, obj: Any) -> Any:
    """Serialize with marshmallow's own implementation, nested schemas included."""
    twin = type("Twin", (marshmallow.Schema,), {"get_attribute": type(schema).get_attribute})()
    twin.dump_fields = schema.dump_fields
    return marshmallow.Schema._serialize(twin, obj)  # noqa: SLF001 - the reference


@pytest.mark.dialect("sqlite")
def test_every_response_schema_serializes_as_marshmallow_does(backend: Backend) -> None:
    """Bytes are compared: times may be left to the encoder."""
    random_ = random.Random(13)  # noqa: S311 - the same objects each time
    schemas = [*response_schemas(backend)]
    assert len(schemas) > 10
    for schema in schemas:
        for _ in range(ROUNDS):
            obj = make(schema, random_)
            fast = outcome(lambda schema=schema, obj=obj: schema.dump_for_json(obj))  # type: ignore[misc]  # mypy cannot type it
            assert fast == outcome(lambda schema=schema, obj=obj: slowly(schema, obj))  # type: ignore[misc]  # as above


@pytest.mark.dialect("sqlite")
def test_no_response_schema_of_the_api_is_slow(backend: Backend) -> None:
    """Each is serialized in columns."""
    views = [(name, view, "GET") for name, view in backend.app.view_functions.items()]
    assert [*slow_response_schemas(views)] == []
