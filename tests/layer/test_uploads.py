"""A body limit of a view's own: `arguments(max_body=...)` (S-101)."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from itemsapi import Blueprint, Schema, fields, public, signed_in
from support.app_factory import Backend

Protect = Callable[..., Backend]
Build = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")  # bodies do not depend on the database

MIB = 1024 * 1024
LIMIT = 2 * MIB

uploads = Blueprint("uploads", __name__, url_prefix="/uploads")


class FileSchema(Schema):
    """A file."""

    file = fields.Upload(required=True)


class TextSchema(Schema):
    """A text."""

    text = fields.String(load_default="")


@uploads.post("/large")
@signed_in
@uploads.arguments(TextSchema(), location="form")
@uploads.arguments(FileSchema(), location="files", max_body=LIMIT, description="A scan.")
@uploads.response(200)
def upload_large(payload: dict[str, Any], files: dict[str, Any]) -> object:
    """Return the size of a file."""
    return {"size": len(files["file"].read())}


@uploads.post("/usual")
@signed_in
@uploads.arguments(FileSchema(), location="files")
@uploads.response(200)
def upload_usual(files: dict[str, Any]) -> object:
    """Return the size of a file."""
    return {"size": len(files["file"].read())}


@uploads.post("/small")
@public("a test")
@uploads.arguments(TextSchema(), max_body=20)
@uploads.response(200)
def upload_small(payload: dict[str, Any]) -> object:
    """Return the text."""
    return payload


def create_host(**config: Any) -> Flask:
    """Return a host with the uploads and a form of its own."""
    app = Flask(__name__, static_folder=None)
    app.config |= config
    app.register_blueprint(uploads)
    return app


@pytest.fixture(params=["host", "create_app"])
def ada(request: pytest.FixtureRequest, protect: Protect, make_backend: Build) -> FlaskClient:
    """A client who is signed in, on a host and on the Items API."""
    backend = protect(create_host()) if request.param == "host" else make_backend(uploads)
    return backend.signed_in_client("ada", "member")


def send(client: FlaskClient, size: int, path: str = "/uploads/large") -> int:
    """Upload a file of this many bytes, which is less than the whole body; return the status."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    body = head + b"y" * size + b"\r\n--x--\r\n"
    return client.post(path, data=body, content_type="multipart/form-data; boundary=x").status_code


@pytest.mark.parametrize(("size", "status"), [(MIB + 1, 200), (LIMIT - 500, 200), (LIMIT, 413)])
def test_a_view_has_a_limit_of_its_own(ada: FlaskClient, size: int, status: int) -> None:
    """The whole multipart body counts."""
    assert send(ada, size) == status


def test_other_views_keep_the_usual_limit(ada: FlaskClient) -> None:
    """1 MiB."""
    assert [send(ada, size, "/uploads/usual") for size in (MIB - 500, MIB)] == [200, 413]


@pytest.mark.parametrize(("text", "status"), [("a", 200), ("a" * 20, 413)])
def test_a_limit_may_be_lower_than_usual(ada: FlaskClient, text: str, status: int) -> None:
    """Of a JSON body here."""
    assert ada.post("/uploads/small", json={"text": text}).status_code == status


def test_the_limit_counts_without_a_declared_length(ada: FlaskClient) -> None:
    """A chunked body is read to one byte above the limit."""
    body = io.BytesIO(b'{"text": "' + b"a" * 100 + b'"}')
    response = ada.post(
        "/uploads/small",
        input_stream=body,
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
        headers={"Transfer-Encoding": "chunked"},
    )
    assert (response.status_code, body.tell() <= 21) == (413, True)


def test_a_lower_limit_of_the_host_counts(protect: Protect) -> None:
    """`MAX_CONTENT_LENGTH` of the application."""
    ada = protect(create_host(MAX_CONTENT_LENGTH=MIB)).signed_in_client("ada", "member")
    assert [send(ada, size) for size in (MIB - 500, MIB)] == [200, 413]


def test_no_body_is_read_without_a_token(protect: Protect) -> None:
    """The gate rejects the request first (S-004)."""
    body = io.BytesIO(b"x" * LIMIT)
    response = (
        protect(create_host())
        .client()
        .post("/uploads/large", input_stream=body, content_type="multipart/form-data; boundary=x")
    )
    assert (response.status_code, body.tell()) == (401, 0)


def test_the_limit_is_documented(make_backend: Build) -> None:
    """After the description of the body."""
    document: Any = make_backend(uploads).client().get("/openapi.json").json
    operation = document["paths"]["/uploads/large"]["post"]
    assert operation["requestBody"]["description"] == "A scan. At most 2097152 bytes."
    assert "413" in operation["responses"]
