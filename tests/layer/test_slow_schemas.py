"""`itemsapi check` names the response schemas whose objects are serialized one by one."""

from typing import Any

import marshmallow
import pytest
from flask import Flask

from itemsapi import AuthLayer, public
from itemsapi.cli.host_checks import check_application
from itemsapi.rest import Blueprint, Schema, fields, list_schema
from itemsapi.services import services_of
from itemsapi.settings import Settings


class Usual(Schema):
    """A schema without anything special."""

    name = fields.String()


class Hooked(Usual):
    """A schema with a hook."""

    @marshmallow.post_dump
    def change(self, data: Any, **_: Any) -> Any:
        """Change nothing."""
        return data


class Overriding(Usual):
    """A schema that reads values in its own way."""

    def get_attribute(self, _obj: Any, _attr: str, default: Any) -> Any:
        """Read nothing."""
        return default


class Foreign(marshmallow.Schema):
    """A schema of marshmallow."""


def nesting(field: marshmallow.fields.Field[Any]) -> Schema:
    """Return a schema with this field."""
    return Schema.from_dict({"field": field}, name="Outer")()  # type: ignore[return-value]  # it has the class


def findings(schema: marshmallow.Schema, settings: Settings) -> list[str]:
    """Return what `check` says about an application with this response schema."""
    app = Flask("shop")
    layer = AuthLayer(app, settings=settings)
    blueprint = Blueprint("notes", "notes", url_prefix="/notes")

    @blueprint.get("/")
    @public("a test")
    @blueprint.response(200, schema)
    def list_notes() -> dict[str, str]:
        """List the notes."""
        return {}

    layer.api.register_blueprint(blueprint)
    try:
        found = check_application(app, services_of(app))
        return [finding.message for finding in found if finding.subject == "responses"]
    finally:
        services_of(app).database.dispose()


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (Hooked(), "Hooked, of GET /notes, has a hook, @pre_dump or @post_dump: it is slower"),
        (list_schema(Hooked(), "Page"), "Hooked, of GET /notes, has a hook, @pre_dump or"),
        (nesting(fields.Dict(values=fields.Nested(Hooked))), "Hooked, of GET /notes, has a hook"),
        (nesting(marshmallow.fields.Tuple([fields.Nested(Hooked)])), "Hooked, of GET /notes, has"),
        (nesting(fields.List(fields.List(fields.Nested(Hooked)))), "Hooked, of GET /notes, has"),
        (Overriding(), "Overriding, of GET /notes, overrides how marshmallow serializes"),
        (Foreign(), "Foreign, of GET /notes, is a schema of marshmallow; derive it from itemsapi"),
    ],
)
def test_a_slow_response_schema_is_named_with_its_route(
    schema: marshmallow.Schema, reason: str, settings: Settings
) -> None:
    """The nested ones too; the reason says what to change."""
    (words,) = findings(schema, settings)
    assert words.startswith(reason)


def test_the_schemas_of_the_layer_are_not_slow(settings: Settings) -> None:
    """Neither are those of an application that do nothing special."""
    assert findings(Usual(), settings) == []
