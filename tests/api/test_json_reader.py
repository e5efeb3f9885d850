"""What pages take in: JSON, forms, queries, headers."""

from io import BytesIO
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from support.echo_blueprint import echo_client

JSON = "application/json"


class Broken(BytesIO):
    """A body whose connection breaks."""

    def readinto(self, _: object, /) -> int:
        """Break."""
        raise ConnectionResetError


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client of the echo page."""
    return echo_client(tmp_path_factory.mktemp("data"))


def test_values_come_back_when_they_are_right(api: FlaskClient) -> None:
    """One of each kind goes in and out; what is only written stays in."""
    said = {"text": "é", "number": 3, "truth": False, "price": "2.50", "tags": ["a"]}
    answer = api.post("/echo", json={**said, "secret": "s", "inner": {"name": "n"}})
    assert answer.json == {**said, "inner": {"name": "n"}}
    assert (answer.status_code, answer.headers["Location"]) == (201, "/echo/1")


@pytest.mark.parametrize(
    "kind", [JSON, "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
def test_body_is_taken_when_declared_as_json(api: FlaskClient, kind: str) -> None:
    """S-016: JSON is UTF-8, with or without saying so."""
    assert api.post("/echo", data=b"{}", content_type=kind).status_code == 201


def test_errors_name_their_fields_when_values_break_the_schema(api: FlaskClient) -> None:
    """RFC 9457: 422 with the faults by field, within lists and objects too."""
    answer = api.post("/echo", json={"number": "1", "tags": ["a", 1], "inner": {"x": 1}})
    assert [e["field"] for e in answer.get_json()["errors"]] == ["number", "tags.1", "inner.x"]


def test_error_names_the_body_when_it_is_no_object(api: FlaskClient) -> None:
    """A list where an object is wanted is 422, not 500 (S-014)."""
    answer = api.post("/echo", json=[1])
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "body")


def test_body_is_refused_when_it_ends_too_early(api: FlaskClient) -> None:
    """S-014: a connection that broke is the client's fault."""
    answer = api.post("/echo", input_stream=Broken(b"{"), content_type=JSON)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "bad_request")


def test_nothing_is_needed_when_the_body_is_optional(api: FlaskClient) -> None:
    """An absent body is read as `{}`, a present one as strictly as ever."""
    answers = [api.post("/echo/optional"), api.post("/echo/optional", data="x", content_type=JSON)]
    assert [answer.status_code for answer in answers] == [200, 400]


def test_query_is_read_when_lists_and_words_are_wanted(api: FlaskClient) -> None:
    """S-157: only a list may be repeated; words are read as what is wanted."""
    answer = api.get("/echo?tag=a&tag=b&open=true&limit=7")
    expected = "[('cursor', None), ('limit', 7), ('open', True), ('tag', ['a', 'b'])]"
    assert answer.get_json()[0]["text"] == expected


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
def test_query_is_refused_when_it_is_not_as_described(
    api: FlaskClient, query: str, status: int
) -> None:
    """S-101, S-156, S-157: unknown, repeated, odd or oversized parameters."""
    assert api.get(f"/echo?{query}").status_code == status


def test_form_is_read_when_declared_as_one(api: FlaskClient) -> None:
    """A form is read as strictly as a query."""
    answers = [
        api.post("/echo/form", data={"q": "x", "tag": ["a", "b"]}),
        api.post("/echo/form", data="q=1&q=2", content_type="application/x-www-form-urlencoded"),
        api.post("/echo/form", json={"q": "x"}),
    ]
    assert [answer.status_code for answer in answers] == [204, 422, 415]


@pytest.mark.parametrize(("wish", "status"), [("5", 200), ("five", 422), ("1,2", 422)])
def test_header_is_read_when_the_schema_names_it(api: FlaskClient, wish: str, status: int) -> None:
    """Surplus headers are no mistake, odd values are."""
    assert api.get("/echo/headers", headers={"X-Wish": wish}).status_code == status


def test_header_is_refused_when_sent_twice_or_missing(api: FlaskClient) -> None:
    """S-157: one header, one value."""
    twice = api.get("/echo/headers", headers=[("X-Wish", "1"), ("X-Wish", "2")])
    assert [twice.status_code, api.get("/echo/headers").status_code] == [422, 422]


def test_body_is_read_strictly_when_flask_is_asked(tmp_path: Path) -> None:
    """`request.json` of a plain Flask view is the same strict reader."""
    api = echo_client(tmp_path)
    with api.application.test_request_context(
        "/", method="POST", data=b'{"a":1,"a":2}', content_type=JSON
    ) as context:
        assert context.request.get_json(silent=True) is None
