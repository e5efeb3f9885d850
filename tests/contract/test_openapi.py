"""The OpenAPI document: valid, complete, and the same as what is enforced."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.views import MethodView
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from itemsapi import Blueprint, Schema, fields, public, requires
from itemsapi.app import rulebook
from itemsapi.rest import list_schema
from itemsapi.rest.openapi.document import document_of
from support.echo_blueprint import create_echo_app

# Two pages have a schema, and views, of one name; one is a plain class of Flask's.
other = Blueprint("other_echo", __name__, url_prefix="/other", description="Another page.")


class Echo(Schema):
    """Another thing of the same name."""

    name = fields.String(metadata={"optional": True})


@other.get("/<int:number>/<path:rest>")
@public("a test")
@other.response(200, list_schema(Echo(), "EchoList"))
def echo(number: int, rest: str) -> object:
    """Echo otherwise."""
    return {"items": [number, rest], "next_cursor": None}


class Plain(MethodView):
    """A view of Flask's own kind."""

    decorators = [requires("items:read")]  # noqa: RUF012 - Flask declares it so

    def get(self) -> str:
        """Get it."""
        return ""

    def delete(self) -> str:  # noqa: D102 - a view without words is documented by its name
        return ""


other.add_url_rule("/plain", view_func=Plain.as_view("plain"))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application with pages of every kind."""
    return create_echo_app(tmp_path_factory.mktemp("data"), other)


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    """The document, as it is served."""
    return dict(json.loads(document_of(app).body))


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations by their id."""
    found = [one for path in document["paths"].values() for one in path.values()]
    return {one["operationId"]: one for one in found}


def _everywhere(node: object) -> Iterator[dict[str, Any]]:
    """Yield every object in a document."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _everywhere(inner)


def test_document_is_valid_by_the_specification(document: dict[str, Any]) -> None:
    """S-159: OpenAPI 3.1."""
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_document_says_what_the_gate_does(app: Flask, document: dict[str, Any]) -> None:
    """S-080: the rule that is enforced is the rule that is documented, for every route."""
    for entry in rulebook(app).matrix():
        if entry.method == "HEAD":
            continue
        path = entry.path.replace("<id:", "{").replace("<int:", "{").replace("<path:", "{")
        path = path.replace("<", "{").replace(">", "}").rstrip("/")
        operation = document["paths"][path][entry.method.lower()]
        wanted = [sorted(entry.rule.scope_names)] if entry.rule.accepts_access_token else []
        assert [one["bearer"] for one in operation["security"] if "bearer" in one] == wanted or (
            entry.rule.kind == "refresh token or signed in"
        )


def test_public_route_is_told_from_one_with_a_refresh_token(
    operations: dict[str, dict[str, Any]],
) -> None:
    """`[]` is public; `[{}]` needs a credential that no scheme describes."""
    found = [operations[name]["security"] for name in ("sign_in", "refresh_tokens", "sign_out")]
    assert found == [[], [{}], [{"bearer": []}, {}]]


def test_reason_is_shown_when_a_route_is_public(operations: dict[str, dict[str, Any]]) -> None:
    """Who reads the document sees why nobody is asked there."""
    assert operations["show_problems"]["x-access"].startswith("public: ")


def test_scopes_are_explained_in_the_scheme(document: dict[str, Any]) -> None:
    """One scheme, and in its words every scope there is."""
    schemes = document["components"]["securitySchemes"]
    assert list(schemes) == ["bearer"]
    assert "- `items:read`: " in schemes["bearer"]["description"]


def test_every_operation_is_complete(operations: dict[str, dict[str, Any]]) -> None:
    """What plain Flask-Smorest leaves out is there."""
    needed = {"operationId", "summary", "tags", "security", "responses"}
    assert all(needed <= set(one) for one in operations.values())
    assert all({"400", "500", "503"} <= set(one["responses"]) for one in operations.values())


def test_operations_tell_of_429_unless_their_rule_says_that_nothing_is_counted(
    operations: dict[str, dict[str, Any]],
) -> None:
    """S-155: health alone is never limited; a load balancer asks for everybody behind it."""
    free = {name for name, one in operations.items() if "429" not in one["responses"]}
    assert free == {"live", "ready"}
    assert operations["live"]["x-access"].startswith("public, never limited: ")


def test_refusals_follow_from_what_an_operation_declares(
    operations: dict[str, dict[str, Any]],
) -> None:
    """A body: 408, 413, 415 and 422; a path: 404; a rule: 401 and 403; a version: 412 and 428."""
    statuses = " ".join(sorted(operations["change_echo"]["responses"]))
    assert statuses == "200 400 401 403 404 408 409 412 413 415 422 428 429 500 503"


@pytest.mark.parametrize("name", ["list_sessions", "delete_sessions"])
def test_a_password_to_be_changed_is_a_refusal_where_no_scope_is_asked(
    operations: dict[str, dict[str, Any]], name: str
) -> None:
    """S-119: 403, as until then a token opens nothing but the change."""
    assert operations[name]["security"] == [{"bearer": []}]
    assert "403" in operations[name]["responses"]


@pytest.mark.parametrize("name", ["refresh_tokens", "sign_out"])
def test_refusals_of_refresh_tokens_follow_from_the_rule(
    operations: dict[str, dict[str, Any]], name: str
) -> None:
    """S-080: 401 for one that is bad, 403 for a cookie that another site sends along."""
    assert {"401", "403"} <= set(operations[name]["responses"])


def test_refusals_are_problems_in_the_right_media_type(document: dict[str, Any]) -> None:
    """RFC 9457: what is documented is what is on the wire."""
    responses = document["components"]["responses"]
    for response in [one for name, one in responses.items() if name != "NOT_MODIFIED"]:
        assert list(response["content"]) == ["application/problem+json"]


def test_refusals_of_tokens_are_oauths_when_the_page_says_so(
    operations: dict[str, dict[str, Any]],
) -> None:
    """S-139, RFC 6749 section 5.2: 400 with `error`."""
    content = operations["token"]["responses"]["400"]["content"]
    assert content["application/json"]["schema"]["$ref"].endswith("/OAuthError")


def test_headers_are_documented_where_they_are_sent(document: dict[str, Any]) -> None:
    """WWW-Authenticate, Retry-After, ETag."""
    responses = document["components"]["responses"]
    assert "WWW-Authenticate" in responses["TokenInvalid_TokenMissing"]["headers"]
    assert "Retry-After" in responses["TooMany"]["headers"]


def test_answer_not_modified_is_documented_when_there_is_an_etag(
    operations: dict[str, dict[str, Any]],
) -> None:
    """Who sends If-None-Match may get 304."""
    responses = operations["show_echo"]["responses"]
    assert set(responses["200"]["headers"]) == {"ETag"}
    assert "304" in responses


def test_objects_hold_nothing_else_when_documented(document: dict[str, Any]) -> None:
    """S-083: `additionalProperties` is decided for every shape."""
    shapes = document["components"]["schemas"].values()
    assert all("additionalProperties" in shape for shape in shapes)


def test_fields_of_answers_are_required_unless_said(document: dict[str, Any]) -> None:
    """What an answer always holds, types may rely on."""
    tokens = document["components"]["schemas"]["Tokens"]
    assert set(tokens["properties"]) - set(tokens["required"]) == {"refresh_token"}


def test_shapes_differ_when_going_in_and_coming_out(document: dict[str, Any]) -> None:
    """One schema class, three shapes with names of their own."""
    shapes = document["components"]["schemas"]
    inward, patch, outward = (set(shapes[n]["properties"]) for n in ("EchoIn", "EchoPatch", "Echo"))
    assert (inward == patch, inward - outward, outward - inward) == (True, {"secret"}, {"owner"})


def test_names_carry_no_number_when_schemas_share_one(document: dict[str, Any]) -> None:
    """Two pages with a schema of one name: the module's name tells them apart."""
    names = set(document["components"]["schemas"])
    assert "TestOpenapiEcho" in names
    assert not any(name[-1].isdigit() for name in names)


def test_ids_stay_unique_when_views_share_a_name(operations: dict[str, dict[str, Any]]) -> None:
    """Ours keep the view's name, the later one takes its page's name along."""
    assert {"echo", "other_echo_echo", "plain", "other_echo_plain"} <= set(operations)


def test_plain_views_are_documented_with_their_rule(operations: dict[str, dict[str, Any]]) -> None:
    """Nothing in the access matrix is hidden, whatever registered it."""
    plain = operations["plain"]
    assert (plain["summary"], plain["security"]) == ("Get it", [{"bearer": ["items:read"]}])


def test_money_is_text_with_a_shape(document: dict[str, Any]) -> None:
    """JSON numbers cannot hold it exactly."""
    price = document["components"]["schemas"]["Echo"]["properties"]["price"]
    assert price == {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,3})(\.[0-9]{1,2})?$"}


def test_parameters_are_not_null_when_they_may_be_left_out(
    operations: dict[str, dict[str, Any]],
) -> None:
    """A query has no null."""
    shapes = {one["name"]: one["schema"] for one in operations["search"]["parameters"]}
    assert (shapes["cursor"]["type"], shapes["limit"]["default"]) == ("string", 50)


def test_examples_keep_to_their_schemas(document: dict[str, Any]) -> None:
    """An example that would be refused teaches the wrong thing."""
    for media in _everywhere(document):
        if "schema" not in media or not {"example", "examples"} & set(media):
            continue
        given = [e["value"] for e in media.get("examples", {}).values()] or [media["example"]]
        schema = {**media["schema"], "components": document["components"]}
        faults = [Draft202012Validator(schema).iter_errors(one) for one in given]
        assert [fault.message for found in faults for fault in found] == []


def test_summary_is_the_first_sentence_when_there_are_more(
    operations: dict[str, dict[str, Any]],
) -> None:
    """The rest is the description."""
    said = operations["echo"]["summary"], operations["echo"]["description"]
    assert said == ("Say it again", "With the same words.")


def test_pages_are_described_by_themselves_or_their_module(document: dict[str, Any]) -> None:
    """A tag without words is a riddle."""
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert tags["other_echo"] == "Another page."
    assert tags["auth"] == "Sign in, stay signed in, sign out."


@pytest.mark.parametrize(
    ("public_url", "server"),
    [("http://localhost:8000", "/"), ("https://api.example.org", "https://api.example.org")],
)
def test_server_is_the_public_one_unless_on_this_machine(
    tmp_path: Path, public_url: str, server: str
) -> None:
    """A loopback address helps nobody else; `/` is wherever the document came from."""
    app = create_echo_app(tmp_path, public_url=public_url)
    found = json.loads(document_of(app).body)
    assert found["servers"] == [{"url": server}]


def test_document_is_the_same_when_made_again(tmp_path: Path, app: Flask) -> None:
    """Its ETag holds over workers and restarts."""
    again = create_echo_app(tmp_path, other)
    assert document_of(again) == document_of(app)
