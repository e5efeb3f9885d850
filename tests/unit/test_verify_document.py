"""The OpenAPI document comes from the service, which may be hostile."""

from typing import Any

import pytest

from itemsapi.verify.document import Document, parse_document
from itemsapi.verify.failures import CannotVerify
from itemsapi.verify.runner import documented_refusals

URL = "http://host/v1/openapi.json"
OK = {"responses": {"200": {"description": "x"}}}


def read(**operations: Any) -> Document:
    """Return a document whose one path has these operations."""
    return parse_document({"openapi": "3.1.0", "paths": {"/items/{id}": operations}}, URL)


def test_document_is_refused_when_it_refers_to_another_file() -> None:
    """The generator would fetch it, from any host that the document names."""
    with pytest.raises(CannotVerify, match=r"192\.0\.2\.1"):
        read(get={"responses": {"200": {"$ref": "http://192.0.2.1/x.json"}}})


def test_external_example_is_dropped_when_a_document_names_one() -> None:
    """The generator would fetch it too."""
    raw = read(get=OK | {"x": {"externalValue": "http://192.0.2.1/x"}}).raw
    assert raw["paths"]["/items/{id}"]["get"]["x"] == {}


def test_host_of_a_server_is_not_used_when_the_document_names_one() -> None:
    """Requests go to the host of the URL; the path is the server's."""
    raw = {"paths": {"/a": {"get": OK}}, "servers": [{"url": "https://192.0.2.1/v2/"}]}
    assert parse_document(raw, URL).base_path == "/v2"


@pytest.mark.parametrize(
    ("security", "public"),
    [([], True), ([{}], True), ([{"a": ["x"]}, {}], True), ([{"a": []}], False)],
)
def test_operation_is_public_when_a_way_in_needs_nothing(
    security: list[dict[str, list[str]]], *, public: bool
) -> None:
    """An empty requirement is one that everybody meets (OpenAPI 3.1, Security Requirement)."""
    assert read(get=OK | {"security": security}).operations[0].public is public


@pytest.mark.parametrize(
    "paths", [{"/a": 1}, {"/a": {"get": {"security": 1}}}, {"/a": {"$ref": 3}}, {}, {"/a": {}}]
)
def test_document_is_refused_when_it_is_no_valid_one(paths: dict[str, Any]) -> None:
    """There is one line, and no traceback."""
    with pytest.raises(CannotVerify):
        parse_document({"paths": paths}, URL)


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"paths": {"/a": {"get": OK}, "/b": {"get": {"security": 1}}}}, "the path /b cannot"),
        ({"paths": {"/a": {"get": OK}}, "servers": 1}, "`servers` cannot"),
    ],
)
def test_line_names_the_part_when_a_document_is_no_valid_one(
    document: dict[str, Any], part: str
) -> None:
    """And no class of Python."""
    with pytest.raises(CannotVerify, match=part):
        parse_document(document, URL)


def test_missing_401_is_a_fault_when_only_a_default_is_documented() -> None:
    """Frameworks add `default` to every operation: it tells a client nothing."""
    operation = read(get={"responses": {"default": {}}, "security": [{"a": []}]}).operations[0]
    assert [finding.outcome.value for finding in documented_refusals(operation)] == ["FAULT"]


def test_reference_that_leads_to_itself_is_nothing() -> None:
    """A circle does not hang the run."""
    raw = {"paths": {"/a": {"get": OK}}, "x": {"$ref": "#/x"}}
    assert parse_document(raw, URL).resolve({"$ref": "#/x"}) == {}


@pytest.mark.parametrize(
    ("access", "scopes"),
    [
        ("pets:read", ["pets:read"]),
        ("pets:write pets:read, by access_token or api_key", ["pets:read", "pets:write"]),
        ("pets:read, within 300 s of the sign-in, on pet", ["pets:read"]),
        ("signed in, never limited", []),
        ("see pets:read", []),
        (["pets:read"], []),
    ],
)
def test_scopes_of_x_access_are_needed_when_security_has_none(
    access: object, scopes: list[str]
) -> None:
    """Before OpenAPI 3.1, `security` may name scopes for OAuth's schemes only."""
    found = read(get=OK | {"security": [{"bearer": []}], "x-access": access}).operations[0]
    assert list(found.scopes) == scopes


def test_scopes_of_security_come_first_when_x_access_names_others() -> None:
    """`security` is the standard's own field."""
    definition = OK | {"security": [{"bearer": ["a:read"]}], "x-access": "b:read"}
    assert read(get=definition).operations[0].scopes == ("a:read",)


@pytest.mark.parametrize(
    ("definition", "named"),
    [({}, False), ({"x-access": "signed in"}, True), ({"security": [{"a": ["x:read"]}]}, True)],
)
def test_scopes_are_named_when_security_or_x_access_says_it(
    definition: dict[str, Any], *, named: bool
) -> None:
    """An empty list alone does not say that an operation needs no scope."""
    described = OK | {"security": [{"a": []}]} | definition
    assert read(get=described).operations[0].names_scopes is named


def test_scopes_of_the_settings_are_needed_when_they_are_given() -> None:
    """They hold for each way in; None leaves the operation as it is."""
    document = read(get=OK | {"security": [{"a": []}, {"b": []}]})
    changed = document.with_scopes({"GET /items/{id}": ["x:read"]}.get).operations[0]
    assert (changed.alternatives, changed.names_scopes) == ((("x:read",),) * 2, True)
    assert document.with_scopes(lambda _: None) == document
