"""Names in the OpenAPI document are unique, and the document has exactly what is served."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask_smorest
import pytest
from flask.views import MethodView
from marshmallow import EXCLUDE
from openapi_spec_validator import OpenAPIV31SpecValidator

from itemsapi import Blueprint, Schema, fields, public
from itemsapi.cli.errors import error_line
from itemsapi.problems import Conflict, Problem
from itemsapi.rest.api import DocumentInvalid
from itemsapi.rest.openapi.document import document_of
from support.echo_blueprint import create_echo_app

open_to_all = public("a test")
Document = Callable[..., dict[str, Any]]


class Thing(Schema):
    """A schema with three fields."""

    a = fields.String()
    b = fields.String()
    c = fields.String()


class Node(Schema):
    """A schema that contains a part of itself."""

    name = fields.String()
    secret = fields.String()
    parent = fields.Nested(lambda: Node(exclude=("secret",)))


@pytest.fixture
def document(tmp_path: Path) -> Document:
    """Return a function that builds the document of an application with some blueprints."""

    def build(*blueprints: Any) -> dict[str, Any]:
        built = dict(json.loads(document_of(create_echo_app(tmp_path, *blueprints)).body))
        assert list(OpenAPIV31SpecValidator(built).iter_errors()) == []
        return built

    return build


def page(name: str = "page") -> Blueprint:
    """Return a blueprint without views."""
    return Blueprint(name, f"{name}.views", url_prefix=f"/{name}")


def new_view() -> Callable[..., object]:
    """Return a new view; decorators store what they declare on it."""

    def view(**kwargs: Any) -> object:
        """Respond with what the request contains."""
        return kwargs

    return view


def add_response(blueprint: Blueprint, path: str, schema: Schema) -> None:
    """Add a view that responds with a schema."""
    respond = blueprint.response(200, schema)(new_view())
    blueprint.add_url_rule(path, f"get_{path[1:]}", open_to_all(respond))


def reference(document: dict[str, Any], path: str) -> str:
    """Return the name of the schema that GET `path` responds with."""
    content = document["paths"][path]["get"]["responses"]["200"]["content"]
    return str(content["application/json"]["schema"]["$ref"]).rpartition("/")[2]


def page_of_error(name: str) -> Blueprint:
    """Return a blueprint whose module `<name>.schemas` has a schema `Error`."""
    fields_of_it = {name: fields.String(), "__module__": f"{name}.schemas"}
    blueprint = page(name)
    add_response(blueprint, "/error", type("Error", (Schema,), fields_of_it)())
    return blueprint


def page_of_problem(name: str) -> Blueprint:
    """Return a blueprint with a problem class `Gone` of its own."""
    texts = {"status": 410, "code": f"{name}_gone", "title": f"{name} gone"}
    kind = type("Gone", (Problem,), {**texts, "__module__": f"{name}.problems"})
    blueprint = page(name)
    documented = blueprint.alt_response(kind)(blueprint.response(200)(new_view()))
    blueprint.add_url_rule("/gone", "gone", open_to_all(documented))
    return blueprint


def test_names_are_unique_when_three_modules_have_one_schema_name(document: Document) -> None:
    """S-159: each response refers to the schema of its own module."""
    names = ("cats", "dogs", "fish")
    built = document(*map(page_of_error, names))
    schemas = built["components"]["schemas"]
    found = {name: reference(built, f"/{name}/error") for name in names}
    assert found == {"cats": "Error", "dogs": "SchemasError", "fish": "FishSchemasError"}
    assert all(list(schemas[found[name]]["properties"]) == [name] for name in names)


@pytest.mark.parametrize("option", ["load_only", "partial"])
def test_names_are_unique_when_one_class_has_many_variants(document: Document, option: str) -> None:
    """S-159: each variant has a component of its own."""
    blueprint = page()
    for name in ("a", "b", "c"):
        for names in ((name,), tuple({"a", "b", "c"} - {name})):
            options: dict[str, Any] = {option: names}
            add_response(blueprint, f"/{''.join(sorted(names))}", Thing(**options))
    built = document(blueprint)
    paths = ("a", "b", "c", "ab", "ac", "bc")
    assert len({reference(built, f"/page/{path}") for path in paths}) == len(paths)


def test_name_is_valid_when_a_class_name_has_other_letters(document: Document) -> None:
    """OpenAPI allows only ASCII letters, digits and `.-_` in the keys of components."""
    blueprint = page()
    add_response(blueprint, "/size", type("Größe", (Thing,), {})())
    assert reference(document(blueprint), "/page/size") == "Gre"


def test_outer_schema_has_its_name_when_an_inner_one_has_the_same(document: Document) -> None:
    """S-159: the name of a schema is reserved while the schemas within it are added."""
    outer = type("Thing", (Schema,), {"inner": fields.Nested(Thing())})
    blueprint = page()
    add_response(blueprint, "/outer", outer())
    built = document(blueprint)
    assert reference(built, "/page/outer") == "Thing"
    inner = built["components"]["schemas"]["Thing"]["properties"]["inner"]
    assert inner["$ref"] == "#/components/schemas/TestDocumentNamesThing"


def test_schema_has_a_component_when_a_part_of_it_contains_itself(document: Document) -> None:
    """A part stays inline, as long as it is finite."""
    blueprint = page()
    add_response(blueprint, "/node", Node(exclude=("secret",)))
    schemas = document(blueprint)["components"]["schemas"]
    assert schemas["Node"]["properties"]["parent"] == {"$ref": "#/components/schemas/Node"}


def test_schemas_differ_when_one_ignores_unknown_fields(document: Document) -> None:
    """S-083: `additionalProperties` is that of the instance."""
    blueprint = page()
    for path, schema in (("/strict", Thing()), ("/lenient", Thing(unknown=EXCLUDE))):
        parse = blueprint.arguments(schema)(blueprint.response(200)(new_view()))
        blueprint.add_url_rule(path, path[1:], open_to_all(parse), methods=["POST"])
    schemas = document(blueprint)["components"]["schemas"]
    things = {name: s["additionalProperties"] for name, s in schemas.items() if "Thing" in name}
    assert things == {"ThingIn": False, "TestDocumentNamesThingIn": True}


def test_problems_have_their_own_response_when_classes_share_a_name(document: Document) -> None:
    """Each operation documents the code that it returns."""
    built = document(page_of_problem("cats"), page_of_problem("dogs"))
    found = [
        built["paths"][f"/{name}/gone"]["get"]["responses"]["410"] for name in ("cats", "dogs")
    ]
    names = [response["$ref"].rpartition("/")[2] for response in found]
    assert names == ["Gone", "ProblemsGone"]
    examples = [
        list(
            built["components"]["responses"][name]["content"]["application/problem+json"][
                "examples"
            ]
        )
        for name in names
    ]
    assert examples == [["cats_gone"], ["dogs_gone"]]


def test_problem_is_documented_when_its_class_needs_an_argument(document: Document) -> None:
    """The example has the advice of the class."""

    class OutOfStock(Conflict):
        code = "out_of_stock"
        advice = "Order fewer."

        def __init__(self, item: str) -> None:
            super().__init__(f"There is no more {item}.")

    blueprint = page()
    blueprint.get("/x")(open_to_all(blueprint.alt_response(OutOfStock)(new_view())))
    response = document(blueprint)["components"]["responses"]["OutOfStock"]
    examples = response["content"]["application/problem+json"]["examples"]
    assert examples["out_of_stock"]["value"]["detail"] == "Order fewer."


def test_declared_id_is_kept_when_another_operation_has_that_name(document: Document) -> None:
    """S-159: operation ids are unique."""
    blueprint = page()
    blueprint.get("/x")(open_to_all(blueprint.doc(operationId="list_items")(new_view())))
    paths = document(blueprint)["paths"]
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert paths["/page/x"]["get"]["operationId"] == "list_items"
    assert len(ids) == len(set(ids))


def test_ids_are_unique_when_a_view_of_two_methods_declares_one(document: Document) -> None:
    """S-159: the second method gets its name as suffix."""
    blueprint = page()
    declared = open_to_all(blueprint.doc(operationId="save")(new_view()))
    blueprint.route("/x", methods=["PUT", "POST"])(declared)
    path = document(blueprint)["paths"]["/page/x"]
    assert {operation["operationId"] for operation in path.values()} == {"save", "save_put"}


class WithOptions(MethodView):
    """A view class with a method for OPTIONS."""

    decorators = [open_to_all]  # noqa: RUF012 - Flask declares it so

    def get(self) -> object:
        """Get it."""
        return {}

    def options(self) -> str:
        """Never runs: the gate responds to OPTIONS."""
        return ""


@pytest.mark.parametrize("kind", [Blueprint, flask_smorest.Blueprint], ids=["ours", "stock"])
def test_options_is_not_documented_when_a_view_handles_it(document: Document, kind: Any) -> None:
    """S-005: the gate responds to OPTIONS."""
    blueprint = kind("page", "page", url_prefix="/page")
    blueprint.route("/class")(WithOptions)
    blueprint.route("/function", methods=["GET", "OPTIONS"])(open_to_all(new_view()))
    blueprint.route("/none", methods=["OPTIONS"], endpoint="none")(open_to_all(lambda: ""))
    paths = document(blueprint)["paths"]
    found = {path: list(methods) for path, methods in paths.items() if path.startswith("/page")}
    assert found == {"/page/class": ["get"], "/page/function": ["get"]}


def test_only_served_methods_are_documented_when_a_view_declares_its_own(
    document: Document,
) -> None:
    """A stock blueprint takes a view function without `methods` for GET."""

    class Post(MethodView):
        decorators = [open_to_all]  # noqa: RUF012 - Flask declares it so

        def post(self) -> object:
            return {}

    blueprint = flask_smorest.Blueprint("page", "page", url_prefix="/page")
    blueprint.add_url_rule("/x", view_func=Post.as_view("x"))
    assert list(document(blueprint)["paths"]["/page/x"]) == ["post"]


def child() -> Blueprint:
    """Return a blueprint with a view that takes a body."""
    blueprint = page("child")
    parse = blueprint.arguments(Thing())(blueprint.response(200)(new_view()))
    blueprint.post("/early")(open_to_all(parse))
    return blueprint


def test_views_are_documented_twice_when_a_blueprint_is_nested_twice(document: Document) -> None:
    """Flask serves a blueprint under every name that it is registered with."""
    parent, nested = page("parent"), child()
    parent.register_blueprint(nested)
    parent.register_blueprint(nested, name="again", url_prefix="/again")
    paths = document(parent)["paths"]
    found = [paths[f"/parent/{name}/early"]["post"] for name in ("child", "again")]
    assert [operation["tags"] for operation in found] == [["parent"], ["parent"]]
    assert all("requestBody" in operation for operation in found)


@pytest.mark.parametrize("kind", [Blueprint, flask_smorest.Blueprint], ids=["ours", "stock"])
def test_body_is_documented_when_a_view_is_added_after_nesting(
    document: Document, kind: Any
) -> None:
    """Flask reads the views of a nested blueprint when the outermost one is registered."""
    parent, nested = kind("parent", "parent", url_prefix="/parent"), child()
    parent.register_blueprint(nested)
    parse = nested.arguments(Thing())(nested.response(200)(new_view()))
    nested.add_url_rule("/late", "late", open_to_all(parse), methods=["POST"])
    assert "requestBody" in document(parent)["paths"]["/parent/child/late"]["post"]


def test_body_is_documented_when_the_method_is_in_lower_case(document: Document) -> None:
    """Flask accepts methods in lower case."""
    blueprint = page()
    parse = blueprint.arguments(Thing())(blueprint.response(200)(new_view()))
    blueprint.route("/x", methods=["post"])(open_to_all(parse))
    operation = document(blueprint)["paths"]["/page/x"]["post"]
    assert "requestBody" in operation
    assert "422" in operation["responses"]


def test_parameters_may_be_references(document: Document) -> None:
    """OpenAPI 3.1: a parameter or a reference to one of the components."""
    blueprint = page()
    of_path, of_view = (
        {"$ref": f"#/components/parameters/{name}"} for name in ("IF_MATCH", "IF_NONE_MATCH")
    )
    documented = open_to_all(blueprint.doc(parameters=[of_view])(new_view()))
    blueprint.route("/x", parameters=[of_path])(documented)
    parameters = document(blueprint)["paths"]["/page/x"]["get"]["parameters"]
    assert parameters == [of_path, of_view]


def test_response_may_be_a_reference(document: Document) -> None:
    """The response of a status is a component that is added when it is used."""
    blueprint = page()
    response = {"$ref": "#/components/responses/GONE"}
    blueprint.get("/x")(open_to_all(blueprint.doc(responses={"410": response})(new_view())))
    assert document(blueprint)["paths"]["/page/x"]["get"]["responses"]["410"] == response


def test_schema_of_a_response_may_be_a_name(document: Document) -> None:
    """Flask-Smorest: if the view returns a response object, the schema may be a reference."""
    blueprint = page()
    blueprint.get("/x")(open_to_all(blueprint.response(200, "Problem")(new_view())))
    assert reference(document(blueprint), "/page/x") == "Problem"


def test_declared_response_is_kept_when_a_problem_has_the_same_status(tmp_path: Path) -> None:
    """A name that is not that of a status is a component of the application."""
    blueprint = page()
    blueprint.get("/<int:n>")(open_to_all(blueprint.alt_response(404, "NoPet")(new_view())))
    built = json.loads(document_of(create_echo_app(tmp_path, blueprint)).body)
    response = built["paths"]["/page/{n}"]["get"]["responses"]["404"]
    assert response == {"$ref": "#/components/responses/NoPet"}


class Incomplete(Problem):
    """A problem without texts."""

    status = 409


@pytest.mark.parametrize(
    ("decorate", "fault"),
    [
        (Blueprint.doc(parameters=[{"name": "q"}]), "Missing keys ['in'] for parameter"),
        (page().alt_response(Incomplete), "the problem Incomplete has no code"),
    ],
    ids=["parameter", "problem"],
)
def test_view_is_named_when_it_cannot_be_documented(
    document: Document, decorate: Callable[..., Any], fault: str
) -> None:
    """`itemsapi serve` shows this line and does not start."""
    blueprint = page()
    blueprint.get("/x")(open_to_all(decorate(new_view())))
    with pytest.raises(DocumentInvalid) as raised:
        document(blueprint)
    assert error_line(raised.value) == f"the view page.view cannot be documented: {fault}"


def test_parameter_of_a_path_is_rejected_when_it_has_no_place(document: Document) -> None:
    """`itemsapi serve` shows this line and does not start."""
    blueprint = page()
    blueprint.route("/x", parameters=[{"name": "q"}])(open_to_all(new_view()))
    with pytest.raises(DocumentInvalid, match=r"page\.view cannot be documented: .* lacks `in`"):
        document(blueprint)
