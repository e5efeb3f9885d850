"""The input of endpoints: JSON, forms, queries, headers."""

from io import BytesIO
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from support.echo_blueprint import echo_client

JSON = "application/json"


class Broken(BytesIO):
    """A body whose connection fails."""

    def readinto(self, _: object, /) -> int:
        """Raise an error."""
        raise ConnectionResetError


def test_valid_values_are_returned(api: FlaskClient) -> None:
    """One of each kind; a write-only value is not returned."""
    values = {"text": "é", "number": 3, "truth": False, "price": "2.50", "tags": ["a"]}
    response = api.post("/echo", json={**values, "secret": "s", "inner": {"name": "n"}})
    assert response.json == {**values, "inner": {"name": "n"}}
    assert (response.status_code, response.headers["Location"]) == (201, "/echo/1")


@pytest.mark.parametrize(
    "kind", [JSON, "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
def test_body_is_accepted_when_declared_as_json(api: FlaskClient, kind: str) -> None:
    """S-016: JSON is UTF-8, whether or not the header says so."""
    assert api.post("/echo", data=b"{}", content_type=kind).status_code == 201


def test_errors_name_their_fields_when_values_break_the_schema(api: FlaskClient) -> None:
    """RFC 9457: 422 with the errors by field, within lists and objects too."""
    response = api.post("/echo", json={"number": "1", "tags": ["a", 1], "inner": {"x": 1}})
    assert [e["field"] for e in response.get_json()["errors"]] == ["number", "tags.1", "inner.x"]


def test_error_names_the_body_when_it_is_no_object(api: FlaskClient) -> None:
    """A list instead of an object is 422, not 500 (S-014)."""
    response = api.post("/echo", json=[1])
    assert (response.status_code, response.get_json()["errors"][0]["field"]) == (422, "body")


def test_body_is_rejected_when_it_ends_too_early(api: FlaskClient) -> None:
    """S-014: a broken connection is an error of the client."""
    response = api.post("/echo", input_stream=Broken(b"{"), content_type=JSON)
    assert (response.status_code, response.get_json()["code"]) == (400, "bad_request")


def test_an_optional_body_may_be_absent(api: FlaskClient) -> None:
    """It is then read as `{}`; a body that is present is read as strictly as ever."""
    responses = [
        api.post("/echo/optional"),
        api.post("/echo/optional", data="x", content_type=JSON),
    ]
    assert [response.status_code for response in responses] == [200, 400]


def test_query_parameters_are_converted(api: FlaskClient) -> None:
    """S-157: only a list may be repeated; text is converted to the declared type."""
    response = api.get("/echo?tag=a&tag=b&open=true&limit=7")
    expected = "[('cursor', None), ('limit', 7), ('open', True), ('tag', ['a', 'b'])]"
    assert response.get_json()[0]["text"] == expected


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1&limit=2", 422),
        ("limit=201", 422),
        ("limit=0", 422),
        ("limit=1.0", 422),
        ("unknown=1", 422),
        ("open=yes", 422),
        ("q=%ff", 400),
        ("q=%00", 400),
        ("q=" + "a" * 9000, 400),
    ],
)
def test_query_is_rejected_when_it_is_not_as_documented(
    api: FlaskClient, query: str, status: int
) -> None:
    """S-101, S-156, S-157: unknown, repeated, odd or oversized parameters."""
    assert api.get(f"/echo?{query}").status_code == status


def test_form_is_read_when_declared_as_one(api: FlaskClient) -> None:
    """A form is read as strictly as a query."""
    responses = [
        api.post("/echo/form", data={"q": "x", "tag": ["a", "b"]}),
        api.post("/echo/form", data="q=1&q=2", content_type="application/x-www-form-urlencoded"),
        api.post("/echo/form", json={"q": "x"}),
    ]
    assert [response.status_code for response in responses] == [204, 422, 415]


@pytest.mark.parametrize(("value", "status"), [("5", 200), ("five", 422), ("1,2", 422)])
def test_header_is_read_when_the_schema_names_it(api: FlaskClient, value: str, status: int) -> None:
    """Unknown headers are ignored, invalid values are not."""
    assert api.get("/echo/headers", headers={"X-Wish": value}).status_code == status


def test_header_is_rejected_when_sent_twice_or_missing(api: FlaskClient) -> None:
    """S-157: one header, one value."""
    twice = api.get("/echo/headers", headers=[("X-Wish", "1"), ("X-Wish", "2")])
    assert [twice.status_code, api.get("/echo/headers").status_code] == [422, 422]


def test_request_json_is_read_strictly_in_a_flask_view(tmp_path: Path) -> None:
    """`request.json` of a plain Flask view uses the same reader."""
    api = echo_client(tmp_path)
    with api.application.test_request_context(
        "/", method="POST", data=b'{"a":1,"a":2}', content_type=JSON
    ) as context:
        assert context.request.get_json(silent=True) is None
