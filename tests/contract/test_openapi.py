"""The OpenAPI document is valid and complete, and matches the enforced rules."""

import json
from collections.abc import Iterator
from datetime import timedelta
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
from itemsapi.tokens.scopes import ITEMS_READ
from support.echo_blueprint import create_echo_app

NOT_DOCUMENTED = {"docs", "explorer", "console"}  # blueprints of pages and files for people

# Two blueprints have a schema and a view of the same name; one view is a class of plain Flask.
other = Blueprint("other_echo", __name__, url_prefix="/other", description="Another blueprint.")


class Echo(Schema):
    """Another schema of the same name."""

    name = fields.String(metadata={"optional": True})


@other.get("/<int:number>/<path:rest>")
@public("a test")
@other.response(200, list_schema(Echo(), "EchoList"))
def echo(number: int, rest: str) -> object:
    """Echo in another way."""
    return {"items": [number, rest], "next_cursor": None}


class Plain(MethodView):
    """A class-based view of plain Flask."""

    decorators = [requires(ITEMS_READ)]  # noqa: RUF012 - Flask declares it so

    def get(self) -> str:
        """Get it."""
        return ""

    def delete(self) -> str:  # noqa: D102 - a view without docstring is documented by its name
        return ""


other.add_url_rule("/plain", view_func=Plain.as_view("plain"))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application with blueprints of every kind."""
    return create_echo_app(tmp_path_factory.mktemp("data"), other)


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    """The served document."""
    return dict(json.loads(document_of(app).body))


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations by their id."""
    found = [operation for path in document["paths"].values() for operation in path.values()]
    return {operation["operationId"]: operation for operation in found}


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


def test_document_matches_the_rules_of_the_gate(app: Flask, document: dict[str, Any]) -> None:
    """S-080: for every route, the documented rule is the enforced one."""
    for entry in rulebook(app).matrix():
        if entry.method == "HEAD" or entry.endpoint.split(".")[-2] in NOT_DOCUMENTED:
            continue
        path = entry.path.replace("<id:", "{").replace("<int:", "{").replace("<path:", "{")
        path = path.replace("<", "{").replace(">", "}").rstrip("/") or "/"
        operation = document["paths"][path][entry.method.lower()]
        expected = [sorted(entry.rule.scope_names)] if entry.rule.accepts_access_token else []
        assert [one["bearer"] for one in operation["security"] if "bearer" in one] == expected or (
            entry.rule.kind == "refresh token or signed in"
        )


def test_public_route_differs_from_one_with_a_refresh_token(
    operations: dict[str, dict[str, Any]],
) -> None:
    """`[]` is public; `[{}]` needs a credential that no scheme describes."""
    found = [operations[name]["security"] for name in ("sign_in", "refresh_tokens", "sign_out")]
    assert found == [[], [{}], [{"bearer": []}, {}]]


def test_reason_is_shown_when_a_route_is_public(operations: dict[str, dict[str, Any]]) -> None:
    """The document explains why the route needs no credential."""
    assert operations["jwks"]["x-access"].startswith("public: ")


def test_scopes_are_explained_in_the_scheme(document: dict[str, Any]) -> None:
    """The description of the access token lists the scopes."""
    schemes = document["components"]["securitySchemes"]
    assert list(schemes) == ["bearer", "api_key"]
    assert "- `items:read`: " in schemes["bearer"]["description"]


def test_every_operation_is_complete(operations: dict[str, dict[str, Any]]) -> None:
    """The document contains what plain Flask-Smorest omits."""
    needed = {"operationId", "summary", "tags", "security", "responses"}
    assert all(needed <= set(one) for one in operations.values())
    assert all({"400", "500", "503"} <= set(one["responses"]) for one in operations.values())


def test_operations_document_429_unless_their_rule_has_no_limit(
    operations: dict[str, dict[str, Any]],
) -> None:
    """S-155: only the health checks have no limit; a load balancer sends them for all clients."""
    free = {name for name, one in operations.items() if "429" not in one["responses"]}
    assert free == {"live", "ready"}
    assert operations["live"]["x-access"].startswith("public, never limited: ")


def test_errors_are_derived_from_the_declarations_of_an_operation(
    operations: dict[str, dict[str, Any]],
) -> None:
    """A body: 408, 413, 415 and 422; a path: 404; a rule: 401 and 403; a version: 412 and 428."""
    statuses = " ".join(sorted(operations["change_echo"]["responses"]))
    assert statuses == "200 400 401 403 404 408 409 412 413 415 422 428 429 500 503"


@pytest.mark.parametrize("name", ["list_sessions", "delete_sessions"])
def test_403_is_documented_when_the_rule_has_no_scope(
    operations: dict[str, dict[str, Any]], name: str
) -> None:
    """S-119: until a temporary password is changed, the token allows only the change."""
    assert operations[name]["security"] == [{"bearer": []}]
    assert "403" in operations[name]["responses"]


@pytest.mark.parametrize("name", ["refresh_tokens", "sign_out"])
def test_errors_of_refresh_tokens_are_derived_from_the_rule(
    operations: dict[str, dict[str, Any]], name: str
) -> None:
    """S-080: 401 for an invalid token, 403 for a cookie in a cross-site request."""
    assert {"401", "403"} <= set(operations[name]["responses"])


def test_errors_have_the_media_type_of_problems(document: dict[str, Any]) -> None:
    """RFC 9457: the document and the responses have the same media type."""
    responses = document["components"]["responses"]
    for response in [one for name, one in responses.items() if name != "NOT_MODIFIED"]:
        assert list(response["content"]) == ["application/problem+json"]


def test_errors_have_the_oauth_schema_when_the_blueprint_declares_it(
    operations: dict[str, dict[str, Any]],
) -> None:
    """S-139, RFC 6749 section 5.2: 400 with `error`."""
    content = operations["token"]["responses"]["400"]["content"]
    assert content["application/json"]["schema"]["$ref"].endswith("/OAuthError")


def test_headers_are_documented_where_they_are_sent(document: dict[str, Any]) -> None:
    """WWW-Authenticate, Retry-After, ETag."""
    responses = document["components"]["responses"]
    assert "WWW-Authenticate" in responses["TokenInvalid_TokenMissing"]["headers"]
    assert "Retry-After" in responses["TooManyRequests"]["headers"]


def test_304_is_documented_when_there_is_an_etag(
    operations: dict[str, dict[str, Any]],
) -> None:
    """A request with `If-None-Match` may get a 304."""
    responses = operations["show_echo"]["responses"]
    assert set(responses["200"]["headers"]) == {"ETag"}
    assert "304" in responses


def test_additional_properties_are_declared_for_every_schema(document: dict[str, Any]) -> None:
    """S-083: every schema has `additionalProperties`."""
    shapes = document["components"]["schemas"].values()
    assert all("additionalProperties" in shape for shape in shapes)


def test_response_fields_are_required_unless_optional(document: dict[str, Any]) -> None:
    """Generated types can rely on fields that a response always has."""
    tokens = document["components"]["schemas"]["Tokens"]
    assert set(tokens["properties"]) - set(tokens["required"]) == {"refresh_token"}


def test_schemas_of_input_and_output_differ(document: dict[str, Any]) -> None:
    """One schema class becomes three schemas with different names."""
    shapes = document["components"]["schemas"]
    inward, patch, outward = (set(shapes[n]["properties"]) for n in ("EchoIn", "EchoPatch", "Echo"))
    assert (inward == patch, inward - outward, outward - inward) == (True, {"secret"}, {"owner"})


def test_names_carry_no_number_when_schemas_share_one(document: dict[str, Any]) -> None:
    """Two blueprints have a schema of the same name: one gets the module's name as prefix."""
    names = set(document["components"]["schemas"])
    assert "TestOpenapiEcho" in names
    assert not any(name[-1].isdigit() for name in names)


def test_ids_stay_unique_when_views_share_a_name(operations: dict[str, dict[str, Any]]) -> None:
    """The first keeps the view's name, the second gets the blueprint's name as prefix."""
    assert {"echo", "other_echo_echo", "plain", "other_echo_plain"} <= set(operations)


def test_plain_views_are_documented_with_their_rule(operations: dict[str, dict[str, Any]]) -> None:
    """The document contains every route of the access matrix."""
    plain = operations["plain"]
    assert (plain["summary"], plain["security"]) == ("Get it", [{"bearer": ["items:read"]}])


def test_decimal_is_a_string_with_a_pattern(document: dict[str, Any]) -> None:
    """JSON numbers may be rounded."""
    price = document["components"]["schemas"]["Echo"]["properties"]["price"]
    assert price == {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,3})(\.[0-9]{1,2})?$"}


def test_parameters_are_not_nullable_when_they_are_optional(
    operations: dict[str, dict[str, Any]],
) -> None:
    """A query has no null."""
    shapes = {one["name"]: one["schema"] for one in operations["search"]["parameters"]}
    assert (shapes["cursor"]["type"], shapes["limit"]["default"]) == ("string", 50)


def test_examples_match_their_schemas(document: dict[str, Any]) -> None:
    """An example that would be rejected is misleading."""
    for media in _everywhere(document):
        if "schema" not in media or not {"example", "examples"} & set(media):
            continue
        examples = [e["value"] for e in media.get("examples", {}).values()] or [media["example"]]
        schema = {**media["schema"], "components": document["components"]}
        results = [Draft202012Validator(schema).iter_errors(example) for example in examples]
        assert [error.message for errors in results for error in errors] == []


def test_summary_is_the_first_sentence_when_there_are_more(
    operations: dict[str, dict[str, Any]],
) -> None:
    """The rest is the description."""
    texts = operations["echo"]["summary"], operations["echo"]["description"]
    assert texts == ("Say it again", "With the same words.")


def test_tags_have_the_description_of_the_blueprint_or_its_module(
    document: dict[str, Any],
) -> None:
    """Every tag has a description."""
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert tags["other_echo"] == "Another blueprint."
    assert tags["auth"] == "Sign in, stay signed in, sign out."


@pytest.mark.parametrize(
    ("public_url", "server"),
    [("http://localhost:8000", "/"), ("https://api.example.org", "https://api.example.org")],
)
def test_server_is_the_public_one_unless_on_this_machine(
    tmp_path: Path, public_url: str, server: str
) -> None:
    """A loopback address is useless on other machines; `/` is the host of the document."""
    app = create_echo_app(tmp_path, public_url=public_url)
    found = json.loads(document_of(app).body)
    assert found["servers"] == [{"url": server}]


def test_document_is_the_same_when_built_again(tmp_path: Path, app: Flask) -> None:
    """Its ETag is the same in all workers and after restarts."""
    again = create_echo_app(tmp_path, other)
    assert document_of(again) == document_of(app)


@pytest.mark.parametrize(
    ("heal", "grace", "said", "not_said"),
    [
        (True, 20, "in the first 20 seconds only an access token", "exchanged once"),
        (True, 0, "gets a new refresh token too, unless", "without `refresh_token`"),
        (False, 20, "used again more than 20 seconds later", "the same new refresh token"),
        (False, 0, "used again later", "without `refresh_token`"),
    ],
)
def test_the_text_has_the_rules_of_rotation_that_are_set(
    tmp_path: Path, *, heal: bool, grace: int, said: str, not_said: str
) -> None:
    """docs/adr/0003: without healing nothing is repeated, without a window nobody waits."""
    changes = {"refresh_heal": heal, "refresh_grace": timedelta(seconds=grace)}
    app = create_echo_app(tmp_path, **changes)
    text = " ".join(json.loads(document_of(app).body)["info"]["description"].split())
    assert (said in text, not_said in text) == (True, False)
