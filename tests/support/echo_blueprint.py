"""A blueprint that echoes its input, for tests of the HTTP layer; it needs no database."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort
from flask.testing import FlaskClient
from marshmallow import validate

from itemsapi import Blueprint, Schema, create_app, fields, public, requires, signed_in
from itemsapi.problems import Conflict
from itemsapi.rest import PageQuery, documented_headers
from itemsapi.rest.middleware import Middleware
from itemsapi.testing import testing_settings
from itemsapi.tokens.scopes import ITEMS_WRITE

PUBLIC_REASON = "a test"

EXAMPLE = {
    "text": "hello",
    "number": 3,
    "truth": True,
    "price": "12.50",
    "when": "2026-01-31T12:00:00Z",
    "tags": ["a"],
    "inner": {"name": "n"},
}
RESPONSE_EXAMPLE = EXAMPLE | {"owner": "0198c5a1-7b6e-7c31-9f52-4a1d0e8b7c66"}

blueprint = Blueprint("echo", __name__, url_prefix="/echo")


class Inner(Schema):
    """A nested object."""

    name = fields.String()


class Echo(Schema):
    """One of each."""

    text = fields.String(validate=validate.Length(max=200))
    number = fields.Integer()
    truth = fields.Boolean()
    price = fields.Decimal(digits=4)
    at = fields.DateTime(data_key="when")
    owner = fields.Id(dump_only=True)
    secret = fields.String(load_only=True)
    tags = fields.List(fields.String())
    inner = fields.Nested(Inner())


class Search(PageQuery):
    """Filters."""

    q = fields.String()
    tag = fields.List(fields.String())
    open = fields.Boolean()


class RequestHeaders(Schema):
    """Headers of one request."""

    x_wish = fields.Integer(data_key="X-Wish", required=True)


@blueprint.post("/")
@public(PUBLIC_REASON)
@blueprint.arguments(Echo(), example=EXAMPLE)
@blueprint.response(201, Echo(), headers=documented_headers("Location"), example=RESPONSE_EXAMPLE)
def echo(payload: dict[str, Any]) -> object:
    """Say it again. With the same words."""
    return payload, {"Location": "/echo/1"}


@blueprint.patch("/<id:echo_id>")
@blueprint.response(200, Echo())
@blueprint.arguments(Echo(partial=True))
@blueprint.etag
@blueprint.alt_response(Conflict)
@requires(ITEMS_WRITE)
def change_echo(payload: dict[str, Any], echo_id: str) -> object:
    """Change what was said."""
    versions = blueprint.if_match().allowed or {0}
    return payload | {"number": min(versions), "text": echo_id}


@blueprint.get("/<id:echo_id>")
@signed_in
@blueprint.etag
@blueprint.response(200, Echo())
def show_echo(echo_id: str) -> object:
    """Show what was said."""
    blueprint.set_etag(1)
    return {"text": echo_id}


@blueprint.get("/versioned")
@public(PUBLIC_REASON)
@blueprint.etag
@blueprint.response(200, Echo())
def versioned() -> object:
    """Show a version."""
    blueprint.set_etag(7)
    return {"text": "here"}


@blueprint.put("/versioned")
@public(PUBLIC_REASON)
@blueprint.etag
@blueprint.response(200)
def replace() -> object:
    """Replace a version."""
    blueprint.check_etag(7)
    return {"version": 8}


@blueprint.get("")
@blueprint.arguments(Search(), location="query")
@blueprint.response(200, Echo(many=True))
@public(PUBLIC_REASON)
def search(query: Mapping[str, Any]) -> object:
    """Search."""
    return [{"text": repr(sorted(query.items()))}]


@blueprint.post("/form")
@public(PUBLIC_REASON)
@blueprint.arguments(Search(), location="form")
@blueprint.response(204)
def fill(_: dict[str, Any]) -> None:
    """Fill in a form."""


@blueprint.post("/optional")
@public(PUBLIC_REASON)
@blueprint.arguments(Echo(), required=False)
@blueprint.response(200, Echo())
def optional(payload: dict[str, Any]) -> object:
    """Say something or nothing."""
    return payload


@blueprint.get("/headers")
@public(PUBLIC_REASON)
@blueprint.arguments(RequestHeaders(), location="headers")
@blueprint.response(200)
def headers(raw: dict[str, Any]) -> object:
    """Read headers."""
    return raw


@blueprint.get("/bare")
@public(PUBLIC_REASON)
def bare() -> object:
    """Return a plain dictionary."""
    return {"a": 1}


@blueprint.get("/own-headers")
@public(PUBLIC_REASON)
def own_headers() -> Response:
    """Set headers that are otherwise set by the backend."""
    return Response("", headers={"Cache-Control": "public", "Vary": "Accept"})


@blueprint.get("/raise/<name>")
@public(PUBLIC_REASON)
def fail(name: str) -> object:
    """Raise what is asked for."""
    if name == "response":
        abort(Response("as it is", 299))
    if name == "schema":
        Echo().load({"number": "1"})
    if name.isdigit():
        abort(int(name))
    raise {
        "exit": SystemExit,
        "generator": GeneratorExit,
        "type": TypeError,
        "stop": KeyboardInterrupt,
    }[name]("a secret")


@blueprint.get("/number/<int:number>")
@public(PUBLIC_REASON)
def number(number: int) -> object:
    """Take a number in the path."""
    return {"number": number % 7}


def create_echo_app(folder: Path, *pages: Blueprint, **changes: Any) -> Flask:
    """Return an application with the echo blueprint and others, without a database."""
    settings = testing_settings(folder, **changes)
    return create_app(settings, blueprints=[blueprint, *pages])


def echo_client(folder: Path, **changes: Any) -> FlaskClient:
    """Return a client of such an application."""
    return create_echo_app(folder, **changes).test_client()


def middleware_of(app: Any) -> Middleware:
    """Return the middleware that wraps the application."""
    assert isinstance(app.wsgi_app, Middleware)
    return app.wsgi_app
