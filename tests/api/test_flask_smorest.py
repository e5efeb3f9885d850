"""The examples in the documentation of Flask-Smorest work here, behind the gate.

Each example runs with Flask-Smorest's own `Blueprint` and with `itemsapi.Blueprint`.
"""

# mypy: disable-error-code="untyped-decorator"
# Flask-Smorest has no types.

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask_smorest
import marshmallow
import pytest
from flask.testing import FlaskClient
from flask.views import MethodView
from flask_smorest import Page, abort
from flask_smorest.fields import Upload
from marshmallow import fields
from openapi_spec_validator import OpenAPIV31SpecValidator

from itemsapi import Blueprint, public, requires
from itemsapi.gate.rulebook import RulesInvalid
from itemsapi.tokens.scopes import ITEMS_WRITE
from support.echo_blueprint import create_echo_app
from support.race import race

Build = Callable[..., Any]
Open = Callable[[Any], FlaskClient]
OPEN = public("a test")


class PetSchema(marshmallow.Schema):
    """A pet, as a plain marshmallow schema."""

    id = fields.Int(dump_only=True)
    name = fields.String(required=True)


class PetQuerySchema(marshmallow.Schema):
    """A filter of pets."""

    name = fields.String()


class OwnerSchema(marshmallow.Schema):
    """An owner of pets."""

    name = fields.String()
    pets = fields.List(fields.Nested(PetSchema))


@pytest.fixture(params=[flask_smorest.Blueprint, Blueprint], ids=["stock", "ours"])
def blp(request: pytest.FixtureRequest) -> Any:
    """A blueprint of Flask-Smorest, and one of `itemsapi`."""
    return request.param("pets", "pets", url_prefix="/pets", description="Operations on pets")


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Return a function that creates a test client for a blueprint."""
    return lambda blp: create_echo_app(tmp_path, blp).test_client()


def document(client: FlaskClient) -> dict[str, Any]:
    """Return the document after checking that it is valid."""
    found: dict[str, Any] = client.get("/openapi.json").get_json()
    assert list(OpenAPIV31SpecValidator(found).iter_errors()) == []
    return found


def quick_start(blp: Any) -> None:
    """Add the resources of the quick start."""
    pets = [{"id": 1, "name": "Rex"}, {"id": 2, "name": "Tom"}]

    @blp.route("/")
    class Pets(MethodView):
        decorators = [OPEN]  # noqa: RUF012 - Flask declares it so

        @blp.arguments(PetQuerySchema, location="query")
        @blp.response(200, PetSchema(many=True))
        def get(self, args: dict[str, Any]) -> object:
            """List pets."""
            return [pet for pet in pets if args.get("name", pet["name"]) == pet["name"]]

        @blp.arguments(PetSchema)
        @blp.response(201, PetSchema)
        def post(self, new_data: dict[str, Any]) -> object:
            """Add a new pet."""
            pets.append(new_data | {"id": 3})
            return pets[-1]

    @blp.route("/<int:pet_id>")
    class PetsById(MethodView):
        decorators = [OPEN]  # noqa: RUF012 - Flask declares it so

        @blp.response(200, PetSchema)
        @blp.alt_response(404, description="No such pet")
        def get(self, pet_id: int) -> object:
            """Get pet by ID."""
            found = [pet for pet in pets if pet["id"] == pet_id]
            return found[0] if found else abort(404, message="Item not found.")

        @blp.response(204)
        def delete(self, pet_id: int) -> None:
            """Delete pet."""


def test_the_quick_start_works(blp: Any, opened: Open) -> None:
    """Query and body arguments, and responses with and without a body."""
    quick_start(blp)
    client = opened(blp)
    assert client.get("/pets/?name=Tom").get_json() == [{"id": 2, "name": "Tom"}]
    made = client.post("/pets/", json={"name": "Kit"})
    assert (made.status_code, made.get_json()) == (201, {"id": 3, "name": "Kit"})
    assert (client.delete("/pets/1").status_code, client.delete("/pets/1").data) == (204, b"")


def test_abort_sends_its_message(blp: Any, opened: Open) -> None:
    """As the detail of a problem (RFC 9457)."""
    quick_start(blp)
    found = opened(blp).get("/pets/9")
    assert (found.status_code, found.get_json()["detail"]) == (404, "Item not found.")


def test_a_wrong_body_is_rejected_with_errors_by_field(blp: Any, opened: Open) -> None:
    """422 with the errors of marshmallow."""
    quick_start(blp)
    found = opened(blp).post("/pets/", json={"name": 1})
    assert (found.status_code, found.get_json()["errors"]) == (
        422,
        [{"field": "name", "message": "Not a valid string."}],
    )


def test_the_quick_start_is_documented(blp: Any, opened: Open) -> None:
    """Parameters, bodies, statuses, tags; and the rule of each operation."""
    quick_start(blp)
    paths = document(opened(blp))["paths"]
    add, show = (paths[path] for path in sorted(paths) if path.startswith("/pets"))
    assert add["post"]["responses"]["201"]["content"]["application/json"]["schema"]
    assert add["post"]["requestBody"]["required"] is True
    assert [one["name"] for one in add["get"]["parameters"]] == ["name"]
    assert (show["get"]["summary"], show["get"]["tags"]) == ("Get pet by ID", ["pets"])
    assert show["get"]["security"] == []
    assert show["delete"]["responses"]["204"] == {"description": "No Content"}


def test_several_arguments_are_passed_from_the_top_down(blp: Any, opened: Open) -> None:
    """Each is a positional argument; path parameters are passed by name."""

    @blp.route("/<int:pet_id>", methods=["POST"])
    @OPEN
    @blp.arguments(PetQuerySchema, location="query")
    @blp.arguments(PetSchema)
    @blp.response(200)
    def change(query: dict[str, Any], data: dict[str, Any], pet_id: int) -> object:
        return [query, data, pet_id]

    found = opened(blp).post("/pets/7?name=a", json={"name": "b"})
    assert found.get_json() == [{"name": "a"}, {"name": "b"}, 7]


class HeadersSchema(marshmallow.Schema):
    """A header."""

    class Meta:
        """Other headers are ignored."""

        unknown = marshmallow.EXCLUDE

    count = fields.Integer(data_key="X-Count", required=True)


def test_arguments_of_headers(blp: Any, opened: Open) -> None:
    """Other headers of the request are ignored."""

    @blp.route("/")
    @OPEN
    @blp.arguments(HeadersSchema, location="headers")
    @blp.response(200)
    def show(headers: dict[str, Any]) -> object:
        return headers["count"]

    assert opened(blp).get("/pets", headers={"X-Count": "3"}).get_json() == 3


class FileSchema(marshmallow.Schema):
    """A file to upload."""

    picture = Upload()


class FormSchema(marshmallow.Schema):
    """A form field."""

    caption = fields.String()


def uploading(blp: Any) -> None:
    """Add a view that takes a file and a form."""

    @blp.route("/", methods=["POST"])
    @OPEN
    @blp.arguments(FileSchema, location="files")
    @blp.arguments(FormSchema, location="form")
    @blp.response(201)
    def upload(files: dict[str, Any], form: dict[str, Any]) -> object:
        return {"size": len(files["picture"].read()), **form}


def test_files_are_uploaded(blp: Any, opened: Open) -> None:
    """In a multipart body, together with form fields."""
    uploading(blp)
    body = {"picture": (io.BytesIO(b"12345"), "rex.png"), "caption": "Rex"}
    found = opened(blp).post("/pets", data=body, content_type="multipart/form-data")
    assert (found.status_code, found.get_json()) == (201, {"size": 5, "caption": "Rex"})


def test_a_view_chooses_status_and_headers(blp: Any, opened: Open) -> None:
    """The view returns a tuple, as in Flask."""

    @blp.route("/")
    @OPEN
    @blp.response(200, PetSchema)
    def show() -> object:
        return {"id": 1, "name": "Rex"}, 202, {"X-Tail": "wags"}

    found = opened(blp).get("/pets")
    assert (found.status_code, found.headers["X-Tail"]) == (202, "wags")


def test_nested_schemas_are_dumped_and_documented(blp: Any, opened: Open) -> None:
    """Each has a name in the components."""

    @blp.route("/owner")
    @OPEN
    @blp.response(200, OwnerSchema)
    def show() -> object:
        return {"name": "ada", "pets": [{"id": 1, "name": "Rex"}]}

    client = opened(blp)
    assert client.get("/pets/owner").get_json()["pets"] == [{"id": 1, "name": "Rex"}]
    owner = document(client)["components"]["schemas"]["Owner"]
    assert owner["properties"]["pets"]["items"]["$ref"].endswith("/Pet")


def test_doc_adds_to_the_operation(blp: Any, opened: Open) -> None:
    """`doc` overrides the generated values."""

    @blp.route("/")
    @OPEN
    @blp.doc(summary="By hand", deprecated=True)
    @blp.response(200, PetSchema)
    def show() -> object:
        return {}

    found = document(opened(blp))["paths"]["/pets"]["get"]
    assert (found["summary"], found["deprecated"]) == ("By hand", True)


def test_nested_blueprints_are_documented(blp: Any, opened: Open) -> None:
    """Their path contains both prefixes."""
    child = type(blp)("toys", "toys", url_prefix="/toys")

    @child.route("/")
    @OPEN
    @child.response(200, PetSchema(many=True))
    def show() -> object:
        return []

    blp.register_blueprint(child)
    client = opened(blp)
    assert client.get("/pets/toys").get_json() == []
    assert "/pets/toys" in document(client)["paths"]


@pytest.mark.parametrize("pager", [None, Page], ids=["by hand", "pager"])
def test_pages_have_a_pagination_header(blp: Any, opened: Open, pager: Any) -> None:
    """The view or a pager selects the page."""

    @blp.route("/")
    @OPEN
    @blp.response(200)
    @blp.paginate(pager)
    def numbers(**page: Any) -> object:
        if pager:
            return range(35)
        parameters = page["pagination_parameters"]
        parameters.item_count = 35
        return list(range(35))[parameters.first_item : parameters.last_item + 1]

    client = opened(blp)
    found = client.get("/pets?page=2&page_size=20")
    assert found.get_json() == list(range(20, 35))
    assert json.loads(found.headers["X-Pagination"])["total_pages"] == 2
    names = [one["name"] for one in document(client)["paths"]["/pets"]["get"]["parameters"]]
    assert names == ["page", "page_size"]


def with_etags(blp: Any) -> None:
    """Add a pet whose ETag is a hash of its data."""
    pet = {"id": 1, "name": "Rex"}

    @blp.route("/rex")
    class Rex(MethodView):
        decorators = [OPEN]  # noqa: RUF012 - Flask declares it so

        @blp.etag
        @blp.response(200, PetSchema)
        def get(self) -> object:
            return pet

        @blp.etag
        @blp.arguments(PetSchema)
        @blp.response(200, PetSchema)
        def put(self, new_data: dict[str, Any]) -> object:
            blp.check_etag(pet, PetSchema)
            pet.update(new_data)
            blp.set_etag(pet, PetSchema)
            return pet


def test_etags_guard_reads_and_changes(blp: Any, opened: Open) -> None:
    """304, 428, 412, and 200 with the new ETag."""
    with_etags(blp)
    client = opened(blp)
    tag = client.get("/pets/rex").headers["ETag"]
    assert client.get("/pets/rex", headers={"If-None-Match": tag}).status_code == 304
    changed = [
        client.put("/pets/rex", json={"name": "Max"}, headers=headers)
        for headers in ({}, {"If-Match": '"other"'}, {"If-Match": tag})
    ]
    assert [one.status_code for one in changed] == [428, 412, 200]
    assert changed[-1].headers["ETag"] == client.get("/pets/rex").headers["ETag"] != tag


# The following tests are about the stricter behaviour of `itemsapi.Blueprint`.


def test_a_parameter_is_unknown_when_no_query_schema_has_it(opened: Open) -> None:
    """Two query schemas and `paginate` share one query string."""
    blp: Any = Blueprint("pets", "pets", url_prefix="/pets")

    @blp.get("/")
    @OPEN
    @blp.arguments(PetQuerySchema, location="query")
    @blp.response(200)
    @blp.paginate(Page)
    def numbers(query: dict[str, Any]) -> object:
        return range(int(query["name"]))

    client = opened(blp)
    good, bad = (client.get(f"/pets?name=3&page_size=2{more}") for more in ("", "&odd=1"))
    assert (good.get_json(), bad.status_code) == ([0, 1], 422)
    assert bad.get_json()["errors"] == [{"field": "odd", "message": "Unknown field."}]


def test_a_form_with_files_is_one_multipart_body_in_the_document(opened: Open) -> None:
    """OpenAPI 3 has no `in: formData`."""
    blp: Any = Blueprint("pets", "pets", url_prefix="/pets")
    uploading(blp)
    found = document(opened(blp))
    ((media, body),) = found["paths"]["/pets"]["post"]["requestBody"]["content"].items()
    schema = found["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
    assert (media, sorted(schema["properties"])) == (
        "multipart/form-data",
        ["caption", "picture"],
    )


def test_an_invalid_body_is_rejected_before_a_missing_if_match(opened: Open) -> None:
    """RFC 9110 13.2.1, whether `etag` is above or below `arguments`."""
    blp: Any = Blueprint("pets", "pets", url_prefix="/pets")
    with_etags(blp)
    client = opened(blp)
    found = [client.put("/pets/rex", json=body).status_code for body in ({}, {"name": "Max"})]
    assert found == [422, 428]


def test_the_gate_protects_flask_smorests_own_blueprint(make_backend: Build) -> None:
    """S-001: a request without token is not parsed; one with the scope passes."""
    blp = flask_smorest.Blueprint("pets", "pets", url_prefix="/pets")

    @blp.route("/", methods=["POST"])
    @requires(ITEMS_WRITE)
    @blp.arguments(PetSchema)
    @blp.response(201, PetSchema)
    def add(new_data: dict[str, Any]) -> object:
        return new_data

    backend = make_backend(blp)
    client = backend.signed_in_client("ada", "member")
    assert backend.app.test_client().post("/pets", data="no JSON").status_code == 401
    assert client.post("/pets", json={"name": "Rex"}).status_code == 201


def test_flask_smorests_own_blueprint_needs_rules(make_backend: Build) -> None:
    """S-002: the boot stops."""
    blp = flask_smorest.Blueprint("pets", "pets", url_prefix="/pets")
    blp.add_url_rule("/", "show", lambda: "")
    with pytest.raises(RulesInvalid, match="GET /pets/ has no access rule"):
        make_backend(blp)


def test_files_in_another_body_are_rejected(opened: Open) -> None:
    """415: files come in a multipart body only."""
    blp: Any = Blueprint("pets", "pets", url_prefix="/pets")
    uploading(blp)
    assert opened(blp).post("/pets", json={}).status_code == 415


class CookieSchema(marshmallow.Schema):
    """A cookie."""

    treat = fields.String(required=True)


def test_arguments_of_cookies_ignore_other_cookies(opened: Open) -> None:
    """Other blueprints, and other sites of the same host, set cookies too."""
    blp: Any = Blueprint("pets", "pets", url_prefix="/pets")

    @blp.get("/")
    @OPEN
    @blp.arguments(CookieSchema, location="cookies")
    @blp.response(200)
    def show(cookies: dict[str, Any]) -> object:
        return cookies

    client = opened(blp)
    client.set_cookie("treat", "bone")
    client.set_cookie("other", "1")
    assert client.get("/pets").get_json() == {"treat": "bone"}


@pytest.mark.parametrize("form", [{}, {"caption": "a"}], ids=["missing", "sent"])
def test_an_optional_form_may_be_missing(opened: Open, form: dict[str, str]) -> None:
    """As an optional JSON body may."""
    blp: Any = Blueprint("pets", "pets", url_prefix="/pets")

    @blp.post("/")
    @OPEN
    @blp.arguments(FormSchema, location="form", required=False)
    @blp.response(200)
    def show(payload: dict[str, Any]) -> object:
        return payload

    assert opened(blp).post("/pets", data=form).get_json() == form


def test_abort_sends_its_headers(opened: Open) -> None:
    """As `flask_smorest.abort` documents."""
    blp: Any = Blueprint("pets", "pets", url_prefix="/pets")

    @blp.get("/")
    @OPEN
    def show() -> object:
        return abort(409, message="Asleep.", headers={"X-Until": "noon"})

    assert opened(blp).get("/pets").headers["X-Until"] == "noon"


def test_requests_in_one_application_context_share_no_version(opened: Open) -> None:
    """`g` is theirs together: the ETag of one response is not that of the next."""
    blp: Any = Blueprint("pets", "pets", url_prefix="/pets")
    with_etags(blp)
    quick_start(blp)
    client = opened(blp)
    with client.application.app_context():
        tag = client.get("/pets/rex").headers["ETag"]
        found = client.get("/pets", headers={"If-None-Match": tag})
    assert (found.status_code, "ETag" in found.headers) == (200, False)


def test_a_document_is_whole_for_everybody_who_asks_first(tmp_path: Path) -> None:
    """One thread builds it, and nobody sees a part."""
    app = create_echo_app(tmp_path)
    documents = race(*[lambda: app.test_client().get("/openapi.json").data] * 4)
    assert set(documents) == {app.test_client().get("/openapi.json").data}


def test_paginate_alone_rejects_unknown_parameters(opened: Open) -> None:
    """A misspelt `page` must not return the first page."""
    blp: Any = Blueprint("pets", __name__, url_prefix="/pets")

    @blp.route("/")
    @OPEN
    @blp.response(200)
    @blp.paginate(Page)
    def numbers() -> object:
        return range(35)

    client = opened(blp)
    assert client.get("/pets?pag=2").get_json()["errors"] == [
        {"field": "pag", "message": "Unknown field."}
    ]
    assert client.get("/pets?page=4").get_json() == [30, 31, 32, 33, 34]
