"""Code samples made from documents of any kind; other tests run them."""

import ast
import shlex
from datetime import date
from typing import Any

import pytest

from itemsapi.rest.openapi.links import add_links
from itemsapi.rest.openapi.samples import add_code_samples
from itemsapi.rest.openapi.samples.example_values import example_value, media_example

URL = "https://api.example"
RECURSIVE = {"components": {"schemas": {"Tree": {"$ref": "#/components/schemas/Tree"}}}}


def samples(
    operation: dict[str, Any], schemes: dict[str, Any] | None = None, **item: Any
) -> dict[str, str]:
    """Return the samples of a POST operation, by language."""
    operation = {"x-access": "public", "responses": {}, **operation}
    components = {"securitySchemes": schemes or {}}
    add_code_samples({"paths": {"/a": {"post": operation, **item}}, "components": components}, URL)
    return {one["label"]: one["source"] for one in operation.get("x-codeSamples", ())}


def with_scheme(scheme: dict[str, Any]) -> str:
    """Return the sample in Python of an operation with one security scheme."""
    return samples({"security": [{"badge": []}]}, {"badge": scheme})["Python"]


def with_body(content: dict[str, Any], **body: Any) -> dict[str, str]:
    """Return the samples of an operation with a body."""
    return samples({"requestBody": {"content": content, "required": True, **body}})


@pytest.mark.parametrize(
    ("scheme", "line"),
    [
        ({"type": "http", "scheme": "bearer"}, '"Authorization": f"Bearer {access_token}"'),
        ({"type": "http", "scheme": "basic"}, '"Authorization": f"Basic {badge}"'),
        ({"type": "oauth2"}, '"Authorization": f"Bearer {access_token}"'),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, '"X-Key": x_key'),
        ({"type": "apiKey", "in": "query", "name": "apiKey"}, 'params={"apiKey": api_key}'),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, '"Cookie": f"sid={sid}"'),
    ],
)
def test_a_sample_has_the_credential_of_its_scheme(scheme: dict[str, Any], line: str) -> None:
    """OpenAPI 3.1 section 4.8.27: where it is sent."""
    assert line in with_scheme(scheme)


def test_a_required_parameter_with_an_example_is_written_out() -> None:
    """Others are filled in, and optional ones are left out."""
    parameters = [
        {"name": "X-Mode", "in": "header", "required": True, "example": "fast"},
        {"name": "limit", "in": "query", "required": True, "schema": {"type": "integer"}},
        {"name": "sort", "in": "query"},
    ]
    sample = samples({}, parameters=parameters)["Python"]
    assert 'params={"limit": "1"}' in sample
    assert ('"X-Mode": "fast"' in sample, "sort" in sample) == (True, False)


def test_another_json_type_is_sent_as_such() -> None:
    """A body of RFC 7396, as an example."""
    found = with_body({"application/merge-patch+json": {"example": {"a": 1}}})
    assert '-H "Content-Type: application/merge-patch+json"' in found["curl"]
    assert '"Content-Type": "application/merge-patch+json"' in found["Python"]


def test_an_operation_with_an_unknown_kind_of_body_has_no_samples() -> None:
    """Nothing that would fail."""
    assert with_body({"application/xml": {}}) == {}


def test_a_list_with_a_date_is_written_as_json() -> None:
    """An example of an application may have values that JSON has no type for."""
    found = with_body({"application/json": {"example": [date(2026, 1, 31)]}})
    assert '"2026-01-31"' in found["curl"]


def test_a_form_whose_fields_are_not_known_is_empty() -> None:
    """It stops nothing."""
    found = with_body({"application/x-www-form-urlencoded": {}})
    assert "new URLSearchParams({})" in found["JavaScript"]


def test_a_document_without_refresh_has_no_link_to_it() -> None:
    """Links name operations that are there."""
    content: Any = {"application/json": {"schema": {"properties": {"refresh_token": {}}}}}
    response = {"content": content}
    add_links({"paths": {"/a": {"get": {"x-access": "public", "responses": {"200": response}}}}})
    assert response == {"content": content}


def test_an_operation_without_rule_has_no_samples() -> None:
    """The layer says nothing of it."""
    paths: dict[str, Any] = {"/a": {"get": {"responses": {}}}}
    add_code_samples({"paths": paths}, URL)
    assert paths == {"/a": {"get": {"responses": {}}}}


def test_a_short_value_stays_on_one_line_in_javascript() -> None:
    """A form without lists is an object."""
    media = {"application/x-www-form-urlencoded": {"example": {"a": "b", "n": 1}}}
    assert 'body: new URLSearchParams({ a: "b", n: 1 })' in with_body(media)["JavaScript"]


def test_query_and_files_are_set_in_javascript() -> None:
    """By the objects of the browser."""
    schema = {"properties": {"photo": {"format": "binary"}, "title": True}}
    content = {"multipart/form-data": {"schema": schema, "example": {"photo": "", "title": "x"}}}
    body = {"content": content, "required": True}
    query = {"name": "q", "in": "query", "required": True}
    found = samples({"requestBody": body, "parameters": [query]})["JavaScript"]
    assert 'url.searchParams.set("q", q);' in found
    assert (
        'form.append("photo", new Blob(["..."]), "photo.txt");\nform.append("title", "x");' in found
    )


def test_odd_names_are_quoted_in_every_language() -> None:
    """A name of the document ends no text of the sample."""
    schema = {"properties": {'a"b': {"format": "binary"}, 'c"d': True}}
    content = {"multipart/form-data": {"schema": schema, "example": {'a"b': "", 'c"d': "x"}}}
    query = {"name": 'e"f', "in": "query", "required": True}
    body = {"content": content, "required": True}
    found = samples({"requestBody": body, "parameters": [query]})
    assert 'form.append("a\\"b", new Blob(["..."]), "a\\"b.txt");' in found["JavaScript"]
    assert 'searchParams.set("e\\"f", eF)' in found["JavaScript"]
    ast.parse(found["Python"])
    assert shlex.split(found["curl"].replace("\\\n", ""))[-3:] == [
        'a"b=@a"b.txt',
        "--form-string",
        'c"d=x',
    ]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 3}, 3),
        ({"examples": ["a", "b"]}, "a"),
        ({"enum": ["x"]}, "x"),
        ({"anyOf": [{"type": "boolean"}, {}]}, True),
        ({"allOf": [{"default": {"a": 1}}, {"default": {"b": 2}}]}, {"a": 1, "b": 2}),
        ({"allOf": [{"type": "integer"}]}, 1),
        ({"type": ["string", "null"], "format": "date"}, "2026-01-31"),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "array", "items": {"type": "number", "maximum": 0}}, [0]),
        ({"properties": {"a": {"type": "integer", "minimum": 5}, "b": {}}}, {"a": 5}),
        ({}, None),
        (True, None),
        ({"$ref": "#/components/schemas/Tree"}, None),
    ],
)
def test_an_example_is_made_from_a_schema(schema: Any, value: object) -> None:
    """As small as the schema allows."""
    assert example_value(RECURSIVE, schema) == value


def test_the_first_of_several_examples_is_taken() -> None:
    """OpenAPI 3.1 section 4.8.14: `examples` are objects with a value."""
    assert media_example({}, {"examples": {"a": {"value": 1}, "b": {"value": 2}}}) == 1
