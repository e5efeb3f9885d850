"""Corners of the document that no page of the backend has."""

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
    """A schema that somebody wrote with plain marshmallow."""

    id = marshmallow.fields.String()
    price = marshmallow.fields.Decimal(as_string=True)
    home = marshmallow.fields.Url()


class Nameless(Schema):  # noqa: D101 - that is the point
    name = fields.String()


def _document(*pages: PlainBlueprint, **views: Callable[[], object]) -> dict[str, Any]:
    """Describe an application of pages and of plain views, all of them public."""
    settings = Settings(secret_key="t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")
    app = Flask("test", static_folder=None)
    rest.install(app, settings)
    api = rest.Api(
        app,
        rule_for=lambda _endpoint, _method: PUBLIC,
        problems_url="/docs/problems",
        **rest.spec_options(settings),
    )
    for page in pages:
        api.register_blueprint(page)
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, cast("Any", view))
    assert api.spec is not None
    return dict(api.spec.to_dict())


def _answer(schema: marshmallow.Schema) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of an answer, and all named ones."""
    page = Blueprint("orders", __name__)
    page.get("/orders")(page.response(200, schema)(lambda: None))
    found = _document(page)
    answer = found["paths"]["/orders"]["get"]["responses"]["200"]
    return answer["content"]["application/json"]["schema"], found["components"]["schemas"]


def test_plain_schema_is_described_like_ours() -> None:
    """Its fields are required, its decimals text, its addresses of the right format."""
    order = _answer(Order())[1]["Order"]
    assert order["required"] == ["home", "id", "price"]
    assert [order["properties"][name].get("format", "") for name in ("price", "home")] == [
        "",
        "uri",
    ]


@pytest.mark.parametrize(
    ("schema", "kind"),
    [(Order(only=["id"]), "object"), (Order(exclude=["id"], many=True), "array")],
)
def test_schema_stays_inline_when_it_is_a_cutting(schema: marshmallow.Schema, kind: str) -> None:
    """A part of a schema has no name, so it takes nobody's."""
    shape, named = _answer(schema)
    assert (shape["type"], set(named)) == (kind, {"Problem"})


def test_schema_has_no_description_when_it_has_no_words() -> None:
    """Better nothing than the words of its base class."""
    assert "description" not in _answer(Nameless())[1]["Nameless"]


def test_view_is_described_by_its_name_when_it_has_no_words() -> None:
    """An address outside of any page is in the document too."""

    def show_it() -> None: ...

    operation = _document(show=show_it)["paths"]["/show"]["get"]
    assert (operation["summary"], operation["tags"]) == ("Show it", ["other"])


def test_page_is_described_by_its_module_when_it_is_plain() -> None:
    """Flask's own blueprints have no description."""
    page = PlainBlueprint("orders", __name__)
    page.add_url_rule("/orders", "show", lambda: "")
    assert _document(page)["tags"][0]["description"].startswith("Corners of the document")


def test_version_is_zero_when_the_package_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run from a folder there is no version to tell."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert _document()["info"]["version"] == "0"
