"""Applications with a `flask_smorest.Api` and stock blueprints of their own, beside the layer."""

# mypy: disable-error-code="untyped-decorator"

import copy
import json
from collections.abc import Callable
from typing import Any

import flask_smorest
import marshmallow
import pytest
from flask import Flask
from flask.json.provider import DefaultJSONProvider
from flask.testing import FlaskClient
from flask.views import MethodView
from marshmallow import fields
from openapi_spec_validator import (
    OpenAPIV2SpecValidator,
    OpenAPIV30SpecValidator,
    OpenAPIV31SpecValidator,
)

from itemsapi import AuthLayer, Blueprint, Conflict, NotFound, Schema, public, requires, signed_in
from itemsapi import fields as strict_fields
from itemsapi.endpoints import auth
from itemsapi.rest.openapi.document import DOCUMENT
from itemsapi.testing import caller_client
from itemsapi.tokens.scopes import ITEMS_READ, ITEMS_WRITE
from support.app_factory import Backend
from support.log_records import LogRecords

pytestmark = pytest.mark.dialect("sqlite")  # documents do not depend on the database

Protect = Callable[..., Backend]
VALIDATORS = {
    "2.0": OpenAPIV2SpecValidator,
    "3.0.3": OpenAPIV30SpecValidator,
    "3.1.0": OpenAPIV31SpecValidator,
}
RULES = {
    "api-docs.*": public("the description of the API is no secret"),
    "GET pets.*": public("everybody may see the pets"),
    "POST pets.*": requires(ITEMS_WRITE),
    "DELETE pets.*": signed_in,
}
GATE_STATUSES = {"401", "403", "429", "503"}
ACCESS = "AccessProblem"


class PetSchema(marshmallow.Schema):
    """A pet."""

    id = fields.Int(dump_only=True)
    name = fields.String(required=True)


class ShortJson(DefaultJSONProvider):
    """A provider that is recognized by its output."""

    compact = True
    sort_keys = False


def pets_blueprint() -> Any:
    """Return a stock blueprint as the documentation of Flask-Smorest has it."""
    blp = flask_smorest.Blueprint("pets", "pets", url_prefix="/pets", description="Pets")
    pets = [{"id": number, "name": f"Rex {number}"} for number in range(12)]

    @blp.route("/")
    class Pets(MethodView):
        @blp.response(200, PetSchema(many=True))
        @blp.paginate(flask_smorest.Page)
        def get(self) -> object:
            """List pets."""
            return pets

        @blp.arguments(PetSchema)
        @blp.response(201, PetSchema)
        def post(self, new_data: dict[str, Any]) -> object:
            """Add a pet."""
            return {"id": 12, **new_data}

    @blp.route("/<int:pet_id>")
    class PetsById(MethodView):
        @blp.etag
        @blp.response(200, PetSchema)
        def get(self, pet_id: int) -> object:
            """Get a pet."""
            if pet_id >= len(pets):
                flask_smorest.abort(404, message="No such pet.")
            return pets[pet_id]

        @blp.response(204)
        @blp.alt_response(403, description="The pet is asleep.")
        def delete(self, pet_id: int) -> None:
            """Delete a pet."""

    return blp


def create_host(
    version: str = "3.1.0", *, protect: Callable[[Flask], object] = bool, first: bool = False
) -> Flask:
    """Return a host; `protect` puts the layer around it, before or after its blueprints."""
    app = Flask(__name__, static_folder=None)
    app.json = ShortJson(app)
    app.config |= {
        "API_TITLE": "Pets",
        "API_VERSION": "v1",
        "OPENAPI_VERSION": version,
        "OPENAPI_URL_PREFIX": "/",
    }
    if first:
        protect(app)
    flask_smorest.Api(app).register_blueprint(pets_blueprint())
    if not first:
        protect(app)
    return app


def document(client: FlaskClient) -> dict[str, Any]:
    """Return the document that the host serves."""
    found: dict[str, Any] = client.get("/openapi.json").get_json()
    return found


def without_rules(found: dict[str, Any]) -> dict[str, Any]:
    """Return a document without what the layer adds."""
    found = copy.deepcopy(found)
    for path in found["paths"].values():
        for operation in path.values():
            if "responses" in operation:
                operation.pop("security", None)
                operation.pop("x-access", None)
                operation.pop("x-codeSamples", None)
                for status, response in list(operation["responses"].items()):
                    if "Access_" in str(response):
                        del operation["responses"][status]
    components = found["components"]
    components.pop("securitySchemes", None)
    components["schemas"].pop(ACCESS, None)
    for name in [name for name in components["responses"] if name.startswith("Access_")]:
        del components["responses"][name]
    return found


@pytest.fixture(params=[True, False], ids=["layer first", "layer last"])
def host(request: pytest.FixtureRequest, protect: Protect) -> Backend:
    """A host behind the layer, in either order."""
    backends: list[Backend] = []
    create_host(protect=lambda app: backends.append(protect(app, rules=RULES)), first=request.param)
    return backends[0]


@pytest.fixture
def sent(host: Backend) -> FlaskClient:
    """A client that sends the token of a user who may do everything."""
    return host.signed_in_client("ada", "admin")


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/pets/", {}),
    ("GET", "/pets/?page=2&page_size=5", {}),
    ("GET", "/pets/?page=x", {}),
    ("GET", "/pets", {}),
    ("GET", "/pets/1", {}),
    ("GET", "/pets/99", {}),
    ("GET", "/nothing", {}),
    ("PUT", "/pets/1", {}),
    ("OPTIONS", "/pets/1", {}),
    ("HEAD", "/pets/1", {}),
    ("POST", "/pets/", {"json": {"name": "Kit"}}),
    ("POST", "/pets/", {"json": {"name": 1, "more": 2}}),
    ("POST", "/pets/", {"data": "{", "content_type": "application/json"}),
    ("DELETE", "/pets/1", {}),
]


@pytest.mark.parametrize(
    ("method", "path", "options"), REQUESTS, ids=[" ".join(map(str, each)) for each in REQUESTS]
)
def test_the_host_answers_as_before(
    sent: FlaskClient, method: str, path: str, options: dict[str, Any]
) -> None:
    """Status, headers and body are the same, errors included."""
    before = create_host().test_client().open(path, method=method, **options)
    after = sent.open(path, method=method, **options)
    assert (after.status, after.data) == (before.status, before.data)
    assert list(after.headers) == list(before.headers)


@pytest.mark.parametrize("version", VALIDATORS)
def test_the_document_is_valid(protect: Protect, version: str) -> None:
    """In each version of OpenAPI that Flask-Smorest supports.

    In 2.0 the headers of Flask-Smorest itself are not valid.
    """
    app = create_host(version, protect=lambda app: protect(app, rules=RULES))
    found, before = document(app.test_client()), document(create_host(version).test_client())
    faults, known = (
        {error.message for error in VALIDATORS[version](each).iter_errors()}
        for each in (found, before)
    )
    assert ACCESS in json.dumps(found)
    assert faults == known if version == "2.0" else not faults


@pytest.mark.parametrize(
    ("version", "scopes"), [("2.0", []), ("3.0.3", []), ("3.1.0", ["items:write"])]
)
def test_an_operation_has_the_rule_of_the_gate(
    protect: Protect, version: str, scopes: list[str]
) -> None:
    """Only OpenAPI 3.1 allows scopes for a bearer token."""
    app = create_host(version, protect=lambda app: protect(app, rules=RULES))
    paths = document(app.test_client())["paths"]
    assert paths["/pets/"]["post"]["security"] == [{"bearer": scopes}]
    assert paths["/pets/"]["get"]["security"] == []


def test_an_operation_has_the_responses_of_the_gate(host: Backend) -> None:
    """Those of the rule, in addition to its own."""
    operations = document(host.client())["paths"]["/pets/"]
    assert operations["post"]["responses"].keys() == {"201", "422", "default", *GATE_STATUSES}
    assert operations["get"]["responses"].keys() == {"200", "422", "default", "429"}


def test_a_response_of_the_host_stays(host: Backend) -> None:
    """The view documents a 403 of its own."""
    responses = document(host.client())["paths"]["/pets/{pet_id}"]["delete"]["responses"]
    assert responses["403"]["description"] == "The pet is asleep."
    assert "Access_" in responses["401"]["$ref"]


def test_the_rest_of_the_document_stays(host: Backend) -> None:
    """Without what the layer adds it is the document of before."""
    assert without_rules(document(host.client())) == document(create_host().test_client())


def test_a_scheme_gets_another_name_when_the_host_has_one_of_that_name(protect: Protect) -> None:
    """The scheme of the host stays."""
    app = create_host(protect=lambda app: protect(app, rules=RULES))
    spec = app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "basic"})
    found = document(app.test_client())
    assert found["components"]["securitySchemes"]["bearer"]["scheme"] == "basic"
    assert found["paths"]["/pets/"]["post"]["security"] == [{"itemsapi_bearer": ["items:write"]}]


class ToySchema(Schema):
    """A toy."""

    name = strict_fields.String(required=True)


def toys_blueprint() -> Blueprint:
    """Return a blueprint of ours."""
    toys = Blueprint("toys", "toys", url_prefix="/toys")

    @toys.post("/<int:number>")
    @requires(ITEMS_READ)
    @toys.arguments(ToySchema(), max_body=5000)
    @toys.response(200, ToySchema())
    @toys.alt_response(NotFound)
    def change_toy(payload: dict[str, Any], number: int) -> object:
        """Change a toy."""
        if number:
            raise NotFound
        return payload

    @toys.delete("/<int:number>")
    @signed_in
    @toys.response(204)
    def delete_toy(number: int) -> None:
        """Delete a toy."""

    @toys.route("/box/<int:number>")
    class Box(MethodView):
        decorators = [signed_in]  # noqa: RUF012 - Flask declares it so

        @toys.response(200, ToySchema())
        def get(self, number: int) -> object:
            """Show a box."""

        @toys.etag
        @toys.response(204)
        @toys.alt_response(Conflict)
        def delete(self, number: int) -> None:
            """Remove a box."""

    return toys


@pytest.fixture
def toys(protect: Protect) -> Backend:
    """A host that registers a blueprint of ours with its own `Api`."""
    layer = {"rules": RULES, "include": ["docs"], "url_prefix": "/layer"}
    app = create_host(protect=lambda app: protect(app, **layer))
    app.extensions["flask-smorest"]["apis"][""]["ext_obj"].register_blueprint(toys_blueprint())
    return Backend(app, app.extensions["itemsapi"], app.extensions["itemsapi"].clock)


def host_document(backend: Backend) -> dict[str, Any]:
    """Return the document of the host's `Api`."""
    AuthLayer.seal(backend.app)
    spec = backend.app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec
    found: dict[str, Any] = json.loads(json.dumps(spec.to_dict()))
    return found


def test_a_blueprint_of_ours_is_documented_by_the_api_of_the_host(toys: Backend) -> None:
    """With the problems that it sends, and its limit."""
    found = host_document(toys)
    operation = found["paths"]["/toys/{number}"]["post"]
    assert [*OpenAPIV31SpecValidator(found).iter_errors()] == []
    assert operation["responses"].keys() >= {"400", "404", "413", "415", "422", *GATE_STATUSES}


def test_each_method_of_a_view_class_has_its_own_problems(toys: Backend) -> None:
    """One declares a conflict and compares versions."""
    operations = host_document(toys)["paths"]["/toys/box/{number}"]
    assert operations["delete"]["responses"].keys() >= {"409", "412", "428"}
    assert not operations["get"]["responses"].keys() & {"409", "412", "428"}


@pytest.mark.parametrize("status", ["404", "422"])
def test_a_problem_of_ours_is_not_described_as_an_error_of_the_host(
    toys: Backend, status: str
) -> None:
    """Flask-Smorest would describe its own error schema."""
    operation = host_document(toys)["paths"]["/toys/{number}"]["post"]
    assert "/Access_" in operation["responses"][status]["$ref"]


@pytest.mark.parametrize(("version", "samples"), [("2.0", 0), ("3.0.3", 3), ("3.1.0", 3)])
def test_operations_of_the_host_have_code_samples(
    protect: Protect, version: str, samples: int
) -> None:
    """OpenAPI 2.0 describes bodies in another way, so it has none."""
    app = create_host(version, protect=lambda app: protect(app, rules=RULES))
    client = app.test_client()
    client.get("/pets/0")  # seals
    operation = document(client)["paths"]["/pets/"]["post"]
    assert len(operation.get("x-codeSamples", [])) == samples


def test_tags_of_the_host_stay_in_its_document(host: Backend) -> None:
    """Without groups: its blueprints have none."""
    found = host_document(host)
    assert (found["tags"], "x-tagGroups" in found) == (
        [{"name": "pets", "description": "Pets"}],
        False,
    )


def test_blueprints_of_ours_have_title_and_group_in_the_document_of_the_host(
    protect: Protect,
) -> None:
    """Also those of the layer; the tags of the host are in the first group, or ReDoc hides them."""
    app = create_host(protect=lambda app: protect(app, rules=RULES))
    app.extensions["flask-smorest"]["apis"][""]["ext_obj"].register_blueprint(
        auth.blueprint, url_prefix="/again"
    )
    found = host_document(
        Backend(app, app.extensions["itemsapi"], app.extensions["itemsapi"].clock)
    )
    assert [group["tags"] for group in found["x-tagGroups"]] == [["pets"], ["auth"]]
    assert found["tags"][1]["x-displayName"] == "Sign in and out"


def test_the_document_of_the_layer_omits_the_blueprints_of_the_host(toys: Backend) -> None:
    """They have a document already, and errors of their own."""
    found = toys.app.extensions[DOCUMENT]().body
    assert not [path for path in json.loads(found)["paths"] if path.startswith(("/pets", "/toys"))]


def test_no_content_has_no_media_type_on_a_host(toys: Backend) -> None:
    """204 from a blueprint of ours, as in `create_app` (S-015)."""
    response = caller_client(toys.app).delete("/toys/1")
    assert (response.status_code, "Content-Type" in response.headers) == (204, False)


def test_a_document_that_cannot_be_completed_stops_nothing(
    protect: Protect, log_records: LogRecords
) -> None:
    """The host's own plugin fails; the log says so, and requests are answered."""
    app = create_host(protect=lambda app: protect(app, rules=RULES))
    app.extensions["flask-smorest"]["apis"][""]["ext_obj"].flask_plugin = None
    assert app.test_client().get("/pets/1").status_code == 200
    assert "document_incomplete" in "\n".join(log_records.lines())
