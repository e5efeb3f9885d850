"""`arguments` and `paginate` are strict for every part of a request, and documented as they work.

What the documentation of Flask-Smorest and webargs shows works as it says.
"""

# mypy: disable-error-code="untyped-decorator"
# Flask-Smorest has no types.

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi import Blueprint, Schema, fields, public
from support.echo_blueprint import create_echo_app

OPEN = public("a test")
MULTIPART = "multipart/form-data"
BOUNDARY_X = f"{MULTIPART}; boundary=x"

Serve = Callable[..., FlaskClient]


class Form(Schema):
    """A number and a text."""

    n = fields.Integer()
    text = fields.String()


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Return a function that serves an endpoint which returns its arguments."""

    def serve(schema: Any, **options: Any) -> FlaskClient:
        blp: Any = Blueprint("echoed", __name__, url_prefix="/echoed")

        @blp.route("", methods=["GET", "POST"])
        @OPEN
        @blp.arguments(schema, **options)
        @blp.response(200)
        def show(found: object) -> object:
            return found

        return create_echo_app(tmp_path, blp).test_client()

    return serve


def post_chunked(client: FlaskClient, body: bytes, coding: str = "chunked") -> TestResponse:
    """Send a JSON body without a declared length."""
    return client.post(
        "/echoed",
        input_stream=io.BytesIO(body),
        content_type="application/json",
        headers={"Transfer-Encoding": coding},
        environ_overrides={"wsgi.input_terminated": True},
    )


@pytest.mark.parametrize("coding", ["chunked", "Chunked"])
def test_an_optional_body_is_read_when_it_is_chunked(serve: Serve, coding: str) -> None:
    """Names of codings are case-insensitive (RFC 9112 section 7)."""
    client = serve(Form, required=False)
    assert post_chunked(client, b'{"n": 5}', coding).get_json() == {"n": 5}
    assert post_chunked(client, b"{", coding).status_code == 400


def test_an_optional_body_is_missing_when_no_chunk_arrives(serve: Serve) -> None:
    """The bytes decide, not the headers."""
    assert post_chunked(serve(Form, required=False), b"").get_json() == {}


@pytest.mark.parametrize("location", ["form", "files"])
def test_an_optional_multipart_body_may_be_missing(serve: Serve, location: str) -> None:
    """As an optional JSON body may."""
    client = serve(Schema.from_dict({}), location=location, required=False)
    found = client.post("/echoed", input_stream=io.BytesIO(), content_type=BOUNDARY_X)
    assert found.get_json() == {}


def test_a_number_is_converted_when_a_multipart_form_has_it(serve: Serve) -> None:
    """As in a URL-encoded form."""
    found = serve(Form, location="form").post("/echoed", data={"n": "5"}, content_type=MULTIPART)
    assert found.get_json() == {"n": 5}


def part(value: bytes, headers: bytes = b'form-data; name="text"') -> bytes:
    """Return a multipart body with one part."""
    return b"--x\r\nContent-Disposition: " + headers + b"\r\n\r\n" + value + b"\r\n--x--\r\n"


BROKEN = {
    "nul": part(b"a\0b"),
    "nul-in-name": part(b"a", b'form-data; name="te\0xt"'),
    "not-utf-8": part(b"\xff"),
    "latin-1": part(
        b"\xc3\xa9", b'form-data; name="text"\r\nContent-Type: a/b; charset=iso-8859-1'
    ),
    "name-not-utf-8": part(b"a", b'form-data; name="\xff"'),
    "without-name": part(b"a", b"form-data"),
    "file-without-name": part(b"a", b'form-data; filename="a.txt"'),
    "nul-in-file-name": part(b"a", b'form-data; name="text"; filename="a\0b"'),
    "without-disposition": b"--x\r\nX-Other: a\r\n\r\na\r\n--x--\r\n",
    "truncated": part(b"a")[:-6],
    "empty": b"",
    "other-text": b"garbage",
    "many-parts": part(b"a")[: -len(b"--x--\r\n")] * 101 + b"--x--",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_multipart_body_is_rejected(serve: Serve, body: bytes) -> None:
    """400, as for a URL-encoded body; nothing is replaced or dropped."""
    found = serve(Form, location="form").post(
        "/echoed", input_stream=io.BytesIO(body), content_length=len(body), content_type=BOUNDARY_X
    )
    assert (found.status_code, found.get_json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=é"])
def test_a_multipart_body_without_boundary_is_rejected(serve: Serve, boundary: str) -> None:
    """400: nothing says where its parts are."""
    client = serve(Form, location="form")
    assert (
        client.post("/echoed", data=part(b"a"), content_type=MULTIPART + boundary).status_code
        == 400
    )


def test_a_compressed_multipart_body_is_rejected(serve: Serve) -> None:
    """415, as for every other body."""
    found = serve(Form, location="form").post(
        "/echoed",
        data=part(b"a"),
        content_type=BOUNDARY_X,
        headers={"Content-Encoding": "gzip"},
    )
    assert found.status_code == 415


def test_text_of_a_multipart_body_is_utf_8(serve: Serve) -> None:
    """With the charset declared or not."""
    disposition = b'form-data; name="text"\r\nContent-Type: text/plain; charset=utf-8'
    found = serve(Form, location="form").post(
        "/echoed",
        data=part("né😀".encode(), disposition),
        content_type=BOUNDARY_X,
    )
    assert found.get_json() == {"text": "né😀"}
