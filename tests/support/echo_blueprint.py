"""A page that echoes, for tests of how pages speak HTTP; it needs no database."""

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
from itemsapi.settings import Settings

SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"
WHY = "a test"

EXAMPLE = {
    "text": "hello",
    "number": 3,
    "truth": True,
    "price": "12.50",
    "when": "2026-01-31T12:00:00Z",
    "tags": ["a"],
    "inner": {"name": "n"},
}
GIVEN = EXAMPLE | {"owner": "0198c5a1-7b6e-7c31-9f52-4a1d0e8b7c66"}

page = Blueprint("echo", __name__, url_prefix="/echo")


class Inner(Schema):
    """Something within."""

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


class Raw(Schema):
    """Headers of one request."""

    x_wish = fields.Integer(data_key="X-Wish", required=True)


@page.post("/")
@public(WHY)
@page.arguments(Echo(), example=EXAMPLE)
@page.response(201, Echo(), headers=documented_headers("Location"), example=GIVEN)
def echo(said: dict[str, Any]) -> object:
    """Say it again. With the same words."""
    return said, {"Location": "/echo/1"}


@page.patch("/<id:echo_id>")
@page.response(200, Echo())
@page.arguments(Echo(partial=True))
@page.etag
@page.alt_response(Conflict)
@requires("items:write")
def change_echo(said: dict[str, Any], echo_id: str) -> object:
    """Change what was said."""
    versions = page.if_match().among or {0}
    return said | {"number": min(versions), "text": echo_id}


@page.get("/<id:echo_id>")
@signed_in
@page.etag
@page.response(200, Echo())
def show_echo(echo_id: str) -> object:
    """Show what was said."""
    page.set_etag(1)
    return {"text": echo_id}


@page.get("/versioned")
@public(WHY)
@page.etag
@page.response(200, Echo())
def versioned() -> object:
    """Show a version."""
    page.set_etag(7)
    return {"text": "here"}


@page.put("/versioned")
@public(WHY)
@page.etag
@page.response(200)
def replace() -> object:
    """Replace a version."""
    page.check_etag(7)
    return {"version": 8}


@page.get("")
@page.arguments(Search(), location="query")
@page.response(200, Echo(many=True))
@public(WHY)
def search(wanted: Mapping[str, Any]) -> object:
    """Search."""
    return [{"text": repr(sorted(wanted.items()))}]


@page.post("/form")
@public(WHY)
@page.arguments(Search(), location="form")
@page.response(204)
def fill(_: dict[str, Any]) -> None:
    """Fill in a form."""


@page.post("/optional")
@public(WHY)
@page.arguments(Echo(), required=False)
@page.response(200, Echo())
def optional(said: dict[str, Any]) -> object:
    """Say something or nothing."""
    return said


@page.get("/headers")
@public(WHY)
@page.arguments(Raw(), location="headers")
@page.response(200)
def headers(raw: dict[str, Any]) -> object:
    """Read headers."""
    return raw


@page.get("/bare")
@public(WHY)
def bare() -> object:
    """Return a plain dictionary."""
    return {"a": 1}


@page.get("/own-headers")
@public(WHY)
def own_headers() -> Response:
    """Set headers that are otherwise set by the house."""
    return Response("", headers={"Cache-Control": "public", "Vary": "Accept"})


@page.get("/raise/<name>")
@public(WHY)
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


@page.get("/number/<int:number>")
@public(WHY)
def number(number: int) -> object:
    """Take a number in the path."""
    return {"number": number % 7}


def speaking_app(folder: Path, *pages: Blueprint, **changes: Any) -> Flask:
    """Return an application with the echo page and others, without a database behind it."""
    settings = Settings(data_dir=folder, secret_key=SECRET, rate_limit=None, **changes)
    return create_app(settings, blueprints=[page, *pages])


def client(folder: Path, **changes: Any) -> FlaskClient:
    """Return a client of such an application."""
    return speaking_app(folder, **changes).test_client()


def edge(app: Any) -> Middleware:
    """Return what wraps the application."""
    assert isinstance(app.wsgi_app, Middleware)
    return app.wsgi_app
