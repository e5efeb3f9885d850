"""Code samples of an application's own operations: run, they send what the document says."""

import ast
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import marshmallow
import pytest
from flask import Flask
from flask_smorest.fields import Upload
from werkzeug.serving import make_server

from itemsapi import Blueprint, HmacSignature, Schema, Scope, fields, public, requires
from itemsapi.gate.signature_formats import body_signature
from itemsapi.rest.openapi.document import document_of
from itemsapi.settings import Settings
from support.app_factory import Backend
from support.code_samples import run, sample_of

pytestmark = pytest.mark.dialect("sqlite")  # documents do not depend on the database

Protect = Callable[..., Backend]
ANYBODY = public("a test")
HOOK = Scope("hooks:send", "Send events")
SENDER = HmacSignature(
    "sender", header="X-Sign", secrets=["s" * 40], read=body_signature("X-Sign"), scopes=[HOOK]
)
# What a shell, Python and JavaScript could take for something else.
ODD = "'\"`$HOME $(id) \\ {x} ${y} %s <JSON> \u00e9 \U0001f989 @"

ODD_NAME = "$(id)`id`"
AT = f"@{ODD}"  # curl could take it for the name of a file

echo = Blueprint("echo", __name__)


class Thing(Schema):
    """Values of every kind."""

    text = fields.String(required=True)
    nested = fields.Dict(required=True)
    share_token = fields.String()


class Form(Schema):
    """A form with a repeated field."""

    text = fields.String(required=True)
    tags = fields.List(fields.String(), required=True)


class Files(Schema):
    """A form with a file."""

    photo = Upload(required=True)
    odd = Upload(required=True, data_key=ODD_NAME)


class Search(Schema):
    """Parameters without an example."""

    path = fields.String(required=True)
    page = fields.Integer()


class Echoed(Schema):
    """What the application got."""

    got = marshmallow.fields.Raw(required=True)


class Bare(Schema):
    """A body without an example."""

    kind = fields.String(required=True, metadata={"enum": ["first", "second"]})
    count = fields.Integer(required=True)
    note = fields.String()


THING = {"text": ODD, "nested": {"list": [1, None, True], ODD: {"deep": ODD}}}


@echo.post("/things")
@ANYBODY
@echo.arguments(Thing(), example=THING)
@echo.response(200, Echoed())
def post_thing(payload: dict[str, Any]) -> object:
    """Echo JSON."""
    return {"got": payload}


@echo.post("/shared")
@ANYBODY
@echo.arguments(Thing(), example=THING | {"share_token": "..."})
@echo.response(200, Echoed())
def post_shared(payload: dict[str, Any]) -> object:
    """Echo JSON with a token."""
    return {"got": payload}


@echo.post("/forms")
@ANYBODY
@echo.arguments(Form(), location="form", example={"text": ODD, "tags": ["a", ODD]})
@echo.response(200, Echoed())
def post_form(payload: dict[str, Any]) -> object:
    """Echo a form."""
    return {"got": payload}


@echo.post("/files")
@ANYBODY
@echo.arguments(Files(), location="files")
@echo.response(200, Echoed())
def post_file(payload: dict[str, Any]) -> object:
    """Echo a file."""
    return {"got": [file.read().decode() for _, file in sorted(payload.items())]}


@echo.post("/parts")
@ANYBODY
@echo.arguments(
    Form(), location="form", content_type="multipart/form-data", example={"text": AT, "tags": [AT]}
)
@echo.response(200, Echoed())
def post_parts(payload: dict[str, Any]) -> object:
    """Echo a form in parts."""
    return {"got": payload}


@echo.get("/found/<class>")
@ANYBODY
@echo.arguments(Search(), location="query")
@echo.response(200, Echoed())
def search(query: dict[str, Any], **path: str) -> object:
    """Echo the query and the path."""
    return {"got": {**path, **query}}


@echo.post("/bare")
@ANYBODY
@echo.arguments(Bare())
@echo.response(200, Echoed())
def post_bare(payload: dict[str, Any]) -> object:
    """Echo a body whose example is made from its schema."""
    return {"got": payload}


@echo.get("/hook")
@requires(HOOK, by=["sender"])
def hook() -> object:
    """Take a signed request."""
    return {}


@pytest.fixture
def host(protect: Protect, settings: Settings) -> Iterator[Flask]:
    """A running application, whose document has its address."""
    app = Flask("host", static_folder=None)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    protect(app, settings=replace(settings, public_url=url), credentials=[SENDER])
    app.register_blueprint(echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield app
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["Shell", "Python"])
def echoed(request: pytest.FixtureRequest, host: Flask, tmp_path: Path) -> Callable[..., Any]:
    """Run the sample of an operation with values; return what the application got."""
    paths = json.loads(document_of(host).body)["paths"]

    def run_sample(method: str, path: str, **values: str) -> Any:
        sample = sample_of(paths[path][method], request.param)
        output, status = run(sample, values, tmp_path)
        assert status == "200", output
        parse = json.loads if request.param == "Shell" else ast.literal_eval
        return parse(output)["got"]

    return run_sample


def test_a_body_arrives_as_its_example(echoed: Callable[..., Any]) -> None:
    """Whatever a shell would make of it."""
    assert echoed("post", "/things") == THING


def test_a_token_in_a_body_is_filled_in(echoed: Callable[..., Any]) -> None:
    """The rest of the body stays as its example."""
    found = echoed("post", "/shared", share_token="abc.def")
    assert found == THING | {"share_token": "abc.def"}


def test_a_form_arrives_with_its_repeated_field(echoed: Callable[..., Any]) -> None:
    """One field for each value."""
    assert echoed("post", "/forms") == {"text": ODD, "tags": ["a", ODD]}


def test_a_file_arrives(echoed: Callable[..., Any], tmp_path: Path) -> None:
    """The file that the sample names, beside it; a shell would run the name of the other one."""
    (tmp_path / "photo.txt").write_text("a photo")
    (tmp_path / f"{ODD_NAME}.txt").write_text("another")
    assert echoed("post", "/files") == ["another", "a photo"]


def test_a_part_of_a_form_arrives_as_its_example(echoed: Callable[..., Any]) -> None:
    """And not a file of the reader that it seems to name."""
    assert echoed("post", "/parts") == {"text": AT, "tags": [AT]}


def test_parameters_are_filled_in_under_names_that_mean_nothing(
    echoed: Callable[..., Any],
) -> None:
    """`PATH` is the shell's, and `class` is Python's."""
    found = echoed("get", "/found/{class}", the_path=ODD, the_class="a")
    assert found == {"class": "a", "path": ODD}


def test_a_body_without_example_is_made_from_its_schema(echoed: Callable[..., Any]) -> None:
    """Only what is required."""
    assert echoed("post", "/bare") == {"kind": "first", "count": 1}


def test_a_header_with_a_credential_of_the_application_is_filled_in(host: Flask) -> None:
    """Its documentation says which header."""
    operation = json.loads(document_of(host).body)["paths"]["/hook"]["get"]
    assert '-H "X-Sign: ${X_SIGN}"' in sample_of(operation, "Shell")["source"]


def test_samples_of_the_application_stay(protect: Protect) -> None:
    """An operation that has samples gets no others."""
    own = [{"lang": "Ruby", "source": "puts 1"}]
    app, blueprint = Flask("host", static_folder=None), Blueprint("own", __name__)
    documented = blueprint.doc(**{"x-codeSamples": own})(lambda: "")
    blueprint.get("/own", endpoint="own")(ANYBODY(documented))
    app.register_blueprint(blueprint)
    protect(app)
    assert json.loads(document_of(app).body)["paths"]["/own"]["get"]["x-codeSamples"] == own
