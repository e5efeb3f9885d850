"""Cases of the document that no built-in blueprint has."""

import importlib.metadata
from collections.abc import Callable
from typing import Any, cast

import marshmallow
import pytest
from flask import Blueprint as PlainBlueprint
from flask import Flask

from itemsapi import Blueprint, Schema, fields, rest
from itemsapi.gate.rules import Rule
from itemsapi.settings import Settings

PUBLIC = Rule("public", reason="a test")


class Order(marshmallow.Schema):
    """A schema of plain marshmallow."""

    id = marshmallow.fields.String()
    price = marshmallow.fields.Decimal(as_string=True)
    home = marshmallow.fields.Url()


class Undocumented(Schema):  # noqa: D101 - the test needs a class without docstring
    name = fields.String()


def _document(*blueprints: PlainBlueprint, **views: Callable[[], object]) -> dict[str, Any]:
    """Return the document of an application with these blueprints and views, all public."""
    settings = Settings(secret_key="t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")
    app = Flask("test", static_folder=None)
    rest.install(app, settings)
    api = rest.Api(
        app,
        rule_for=lambda _endpoint, _method: PUBLIC,
        problems_url="/docs/problems",
        public_url=settings.public_url,
        **rest.spec_options(settings, has_pages=False),
    )
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, cast("Any", view))
    assert api.spec is not None
    return dict(api.spec.to_dict())


def _response_schema(schema: marshmallow.Schema) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the documented schema of a response, and all schemas of the components."""
    blueprint = Blueprint("orders", __name__)
    blueprint.get("/orders")(blueprint.response(200, schema)(lambda: None))
    document = _document(blueprint)
    response = document["paths"]["/orders"]["get"]["responses"]["200"]
    return response["content"]["application/json"]["schema"], document["components"]["schemas"]


@pytest.mark.parametrize(
    "path", ["`POST {}/auth/login`", "`{}/auth/sessions`", "({}/docs/problems)"]
)
def test_the_introduction_names_the_paths_with_the_prefix_of_the_layer(path: str) -> None:
    """`AuthLayer(url_prefix=...)`; without it they are as they are."""
    settings = Settings(secret_key="t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")
    for prefix in ("", "/api"):
        text = rest.spec_options(settings, prefix, has_pages=True)["info"]["description"]
        assert path.format(prefix) in text


def test_the_introduction_has_no_links_when_the_pages_are_not_served() -> None:
    """They would lead to nothing."""
    settings = Settings(secret_key="t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")
    assert "](" not in rest.spec_options(settings, has_pages=False)["info"]["description"]


def test_plain_schema_is_described_like_a_strict_one() -> None:
    """Its fields are required, its decimals are strings, and its URLs have the format `uri`."""
    order = _response_schema(Order())[1]["Order"]
    assert order["required"] == ["home", "id", "price"]
    assert [order["properties"][name].get("format", "") for name in ("price", "home")] == [
        "",
        "uri",
    ]


@pytest.mark.parametrize(
    ("schema", "kind"),
    [(Order(only=["id"]), "object"), (Order(exclude=["id"], many=True), "array")],
)
def test_schema_stays_inline_when_fields_are_excluded(
    schema: marshmallow.Schema, kind: str
) -> None:
    """A part of a schema has no name of its own."""
    shape, named = _response_schema(schema)
    assert (shape["type"], set(named)) == (kind, {"Problem"})


def test_schema_has_no_description_when_it_has_no_docstring() -> None:
    """The docstring of the base class is not used."""
    assert "description" not in _response_schema(Undocumented())[1]["Undocumented"]


def test_view_is_described_by_its_name_when_it_has_no_docstring() -> None:
    """A route outside of any blueprint is in the document too."""

    def show_it() -> None: ...

    operation = _document(show=show_it)["paths"]["/show"]["get"]
    assert (operation["summary"], operation["tags"]) == ("Show it", ["other"])


def test_blueprint_is_described_by_its_module_when_it_is_plain() -> None:
    """Flask's own blueprints have no description."""
    blueprint = PlainBlueprint("orders", __name__)
    blueprint.add_url_rule("/orders", "show", lambda: "")
    assert _document(blueprint)["tags"][0]["description"].startswith("Cases of the document")


def test_version_is_zero_when_the_package_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The service can run from a folder without being installed."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert _document()["info"]["version"] == "0"
