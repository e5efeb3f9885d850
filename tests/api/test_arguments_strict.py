"""`arguments` and `paginate` are strict for every part of a request, and documented as they work.

What the documentation of Flask-Smorest and webargs shows works as it says.
"""

# mypy: disable-error-code="untyped-decorator"
# Flask-Smorest has no types.

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import marshmallow
import pytest
import webargs.fields
from flask.testing import FlaskClient
from flask.views import MethodView
from flask_smorest import Page, abort
from flask_smorest.fields import Upload
from openapi_spec_validator import OpenAPIV31SpecValidator
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


class Lists(Schema):
    """Each kind of parameter with several values."""

    ids = webargs.fields.DelimitedList(fields.Integer())
    piped = webargs.fields.DelimitedTuple((fields.Integer(), fields.String()), delimiter="|")
    plain = webargs.fields.DelimitedList(marshmallow.fields.Integer())
    pair = marshmallow.fields.Tuple((fields.Integer(), fields.Boolean()))
    all = fields.List(fields.Integer())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ids=1,2", {"ids": [1, 2]}),
        ("ids=1", {"ids": [1]}),
        ("ids=", {"ids": []}),
        ("piped=1|a", {"piped": [1, "a"]}),
        ("plain=1,2", {"plain": [1, 2]}),
        ("pair=1&pair=true", {"pair": [1, True]}),
        ("all=1&all=2", {"all": [1, 2]}),
    ],
)
@pytest.mark.parametrize("location", ["query", "form"])
def test_a_parameter_has_several_values_when_its_field_allows_it(
    serve: Serve, location: str, query: str, expected: object
) -> None:
    """As webargs documents: delimited in one parameter, or repeated."""
    client = serve(Lists, location=location)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    found = (
        client.get(f"/echoed?{query}")
        if location == "query"
        else client.post("/echoed", data=query, headers=headers)
    )
    assert found.get_json() == expected


@pytest.mark.parametrize("query", ["ids=1,x", "ids=1,2.0", "ids=1&ids=2", "pair=1", "all=1,2"])
def test_several_values_are_rejected_when_the_field_does_not_allow_them(
    serve: Serve, query: str
) -> None:
    """422: wrong elements, a repeated delimited list, and a delimited repeated list."""
    assert serve(Lists, location="query").get(f"/echoed?{query}").status_code == 422


def documented_parameters(client: FlaskClient) -> dict[str, Any]:
    """Return the parameters of `GET /echoed` by name."""
    found = client.get("/openapi.json").get_json()
    assert list(OpenAPIV31SpecValidator(found).iter_errors()) == []
    return {p["name"]: p for p in found["paths"]["/echoed"]["get"]["parameters"]}


def test_lists_in_a_query_are_documented_with_their_delimiters(serve: Serve) -> None:
    """A delimited list is one parameter, and a list is a repeated one."""
    found = documented_parameters(serve(Lists, location="query"))
    assert {name: (p.get("style"), p.get("explode")) for name, p in found.items()} == {
        "ids": ("form", False),
        "piped": ("pipeDelimited", False),
        "plain": ("form", False),
        "pair": (None, None),  # repeated by default
        "all": ("form", True),
    }


def test_a_list_with_another_delimiter_is_documented_as_text(serve: Serve) -> None:
    """OpenAPI has no style for it."""
    ids = webargs.fields.DelimitedList(fields.Integer(), delimiter=";")
    client = serve(Schema.from_dict({"ids": ids}), location="query")
    assert client.get("/echoed?ids=1;2").get_json() == {"ids": [1, 2]}
    assert documented_parameters(client)["ids"]["schema"] == {"type": "string"}


def test_a_tuple_is_documented_with_its_parts(serve: Serve) -> None:
    """And with their number."""
    schema = documented_parameters(serve(Lists, location="query"))["pair"]["schema"]
    assert [part["type"] for part in schema.pop("prefixItems")] == ["integer", "boolean"]
    assert schema == {"type": "array", "minItems": 2, "maxItems": 2}


class Listed(Schema):
    """Headers with several values."""

    all = fields.List(fields.Integer(), data_key="X-All")
    ids = webargs.fields.DelimitedList(fields.Integer(), data_key="X-Ids")


@pytest.mark.parametrize("header", ["X-All", "X-Ids"])
def test_a_list_in_a_header_is_separated_by_commas(serve: Serve, header: str) -> None:
    """Several lines of one header are joined by servers (RFC 9110 section 5.3)."""
    client = serve(Listed, location="headers")
    found = client.get("/echoed", headers={header: "1,2"}).get_json()
    assert list(found.values()) == [[1, 2]]
    assert documented_parameters(client)[header].get("style", "simple") == "simple"


def test_spaces_between_the_values_of_a_header_are_ignored(serve: Serve) -> None:
    """RFC 9110 section 5.6.1."""
    found = serve(Listed, location="headers").get("/echoed", headers={"X-All": "1 ,\t2"})
    assert found.get_json() == {"all": [1, 2]}


@pytest.mark.parametrize(("cookie", "status"), [("text", 400), ("other", 200)])
def test_nul_is_rejected_in_a_cookie_that_the_view_takes(
    serve: Serve, cookie: str, status: int
) -> None:
    """It is sent as an octal escape; cookies of others are ignored."""
    client = serve(Form, location="cookies")
    client.set_cookie(cookie, "a\0")
    assert client.get("/echoed").status_code == status


@pytest.fixture
def pages(tmp_path: Path) -> FlaskClient:
    """Serve a paginated list with a filter, and another without, by a `MethodView`."""
    blp: Any = Blueprint("pages", __name__, url_prefix="/pages")

    @blp.route("/filtered")
    class Filtered(MethodView):
        decorators = [OPEN]  # noqa: RUF012 - Flask declares it so

        @blp.arguments(Form, location="query")
        @blp.response(200)
        @blp.paginate(Page, max_page_size=10**9)
        def get(self, query: object) -> object:
            return [query]

    @blp.route("")
    @OPEN
    @blp.response(200)
    @blp.paginate(Page)
    def plain() -> object:
        return [*range(30)]

    return create_echo_app(tmp_path, blp).test_client()


def test_head_is_parsed_like_get_when_a_class_is_paginated(pages: FlaskClient) -> None:
    """Flask sends HEAD to the method `get`."""
    found = [pages.head(f"/pages/filtered?{query}") for query in ("n=1&page=1", "odd=1")]
    assert [response.status_code for response in found] == [200, 422]


@pytest.mark.parametrize(
    "query",
    ["page=1_0", "page=%201", "page=%2B1", f"page={'9' * 40}", f"page={2**31}", "page_size=1_0"],
)
def test_a_page_number_is_rejected_when_it_is_no_plain_integer(
    pages: FlaskClient, query: str
) -> None:
    """422: the parameters of `paginate` are as strict as others."""
    found = [pages.get(f"{path}?{query}").status_code for path in ("/pages", "/pages/filtered")]
    assert found == [422, 422]


def test_the_limits_of_page_numbers_are_documented(pages: FlaskClient) -> None:
    """With the default of Flask-Smorest."""
    parameters = pages.get("/openapi.json").get_json()["paths"]["/pages"]["get"]["parameters"]
    assert parameters[0]["schema"] == {
        "type": "integer",
        "default": 1,
        "minimum": 1,
        "maximum": 2**31 - 1,
    }


@pytest.mark.parametrize(
    ("status", "code"), [(400, "bad_request"), (409, "conflict"), (418, "i_m_a_teapot")]
)
def test_invalid_arguments_have_the_status_that_the_view_chose(
    serve: Serve, status: int, code: str
) -> None:
    """`error_status_code` of webargs, with its headers and the errors by field."""
    options = {"error_status_code": status, "error_headers": {"X-Why": "n"}}
    found = serve(Form, location="query", **options).get("/echoed?n=x")
    problem = found.get_json()
    assert (found.status_code, problem["code"], found.headers["X-Why"]) == (status, code, "n")
    assert problem["errors"] == [{"field": "n", "message": "Not a valid integer."}]


@pytest.mark.parametrize("query", ["n=1&n=2", "odd=1"])
def test_every_error_of_arguments_has_the_status_that_the_view_chose(
    serve: Serve, query: str
) -> None:
    """Also a repeated or unknown parameter."""
    client = serve(Form, location="query", error_status_code=400)
    assert client.get(f"/echoed?{query}").status_code == 400


def test_abort_sends_its_errors_with_any_status(tmp_path: Path) -> None:
    """As `flask_smorest.abort` documents."""
    blp: Any = Blueprint("aborting", __name__, url_prefix="/aborting")

    @blp.get("")
    @OPEN
    def show() -> object:
        return abort(409, message="Taken.", errors={"name": ["Is taken."]})

    found = create_echo_app(tmp_path, blp).test_client().get("/aborting").get_json()
    assert (found["code"], found["detail"]) == ("conflict", "Taken.")
    assert found["errors"] == [{"field": "name", "message": "Is taken."}]


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"n": 5}},
        {"data": {"n": "5"}},
        {"data": {"n": "5"}, "content_type": MULTIPART},
    ],
    ids=["json", "form", "multipart"],
)
def test_a_body_may_be_json_or_a_form(serve: Serve, sent: dict[str, Any]) -> None:
    """With the location `json_or_form` of webargs."""
    client = serve(Form, location="json_or_form")
    assert client.post("/echoed", **sent).get_json() == {"n": 5}


def test_a_body_that_is_neither_json_nor_a_form_is_rejected(serve: Serve) -> None:
    """415, and a missing one too."""
    client = serve(Form, location="json_or_form")
    found = [client.post("/echoed", data="5", content_type="text/plain"), client.post("/echoed")]
    assert [response.status_code for response in found] == [415, 415]


def test_a_string_is_not_converted_when_the_body_is_json(serve: Serve) -> None:
    """422: only text of a form is."""
    client = serve(Form, location="json_or_form")
    assert client.post("/echoed", json={"n": "5"}).status_code == 422


def documented_body(client: FlaskClient) -> tuple[list[str], dict[str, Any]]:
    """Return the media types of the body of `POST /echoed`, and the JSON Schema of the last."""
    found = client.get("/openapi.json").get_json()
    assert list(OpenAPIV31SpecValidator(found).iter_errors()) == []
    content = found["paths"]["/echoed"]["post"]["requestBody"]["content"]
    name = content[max(content)]["schema"]["$ref"].rpartition("/")[2]
    return sorted(content), found["components"]["schemas"][name]


def test_each_media_type_is_documented_when_a_body_may_be_json_or_a_form(serve: Serve) -> None:
    """With the same schema."""
    kinds, schema = documented_body(serve(Form, location="json_or_form"))
    assert kinds == ["application/json", "application/x-www-form-urlencoded", MULTIPART]
    assert sorted(schema["properties"]) == ["n", "text"]


def test_a_form_with_files_is_documented_without_excluded_fields(tmp_path: Path) -> None:
    """Only fields that the view accepts."""
    blp: Any = Blueprint("echoed", __name__, url_prefix="/echoed")
    files = Schema.from_dict({"picture": Upload(), "scan": Upload()}, name="Files")

    @blp.post("")
    @OPEN
    @blp.arguments(files(exclude=["scan"]), location="files")
    @blp.arguments(Form(only=["n"]), location="form")
    @blp.response(204)
    def show(files: object, form: object) -> None:
        pass

    kinds, schema = documented_body(create_echo_app(tmp_path, blp).test_client())
    assert (kinds, sorted(schema["properties"])) == ([MULTIPART], ["n", "picture"])


def test_abort_sends_neither_message_nor_errors_when_the_status_is_5xx(tmp_path: Path) -> None:
    """They may reveal internals."""
    blp: Any = Blueprint("aborting", __name__, url_prefix="/aborting")

    @blp.get("")
    @OPEN
    def show() -> object:
        return abort(500, message="a secret", errors={"name": ["a secret"]})

    found = create_echo_app(tmp_path, blp).test_client().get("/aborting")
    assert (found.status_code, b"a secret" in found.data) == (500, False)
