"""The attachments over HTTP."""

import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

MIB = 1024 * 1024


def upload(
    client: FlaskClient,
    content: bytes = b"hello",
    *,
    media_type: str = "text/plain",
    key: str | None = None,
) -> TestResponse:
    """Upload a file."""
    data: dict[str, Any] = {"name": "a note", "file": (io.BytesIO(content), "a.txt", media_type)}
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/attachments", data=data, headers=headers)


def body(response: TestResponse) -> dict[str, Any]:
    """Return the JSON body of a response."""
    assert isinstance(response.json, dict)
    return response.json


def test_a_request_is_rejected_without_a_token(app: Flask) -> None:
    """The gate comes before the view."""
    response = upload(app.test_client())
    assert (response.status_code, body(response)["code"]) == (401, "token_missing")


def test_an_uploaded_file_is_downloaded_unchanged(ada: FlaskClient) -> None:
    """A file of more than a mebibyte passes."""
    content = bytes(range(256)) * 4096 * 2
    made = upload(ada, content)
    assert made.status_code == 201
    assert ada.get(f"{made.headers['Location']}/content").data == content


def test_an_upload_is_rejected_above_its_limit(ada: FlaskClient) -> None:
    """The limit of this view is 4 MiB."""
    response = upload(ada, b"x" * 4 * MIB)
    assert (response.status_code, body(response)["code"]) == (413, "body_too_large")


def test_a_problem_of_this_application_is_answered_like_the_others(ada: FlaskClient) -> None:
    """With its own code and advice."""
    response = upload(ada, media_type="text/html")
    assert response.content_type == "application/problem+json"
    assert body(response)["code"] == "file_type_refused"


def test_a_repeated_upload_creates_one_file(ada: FlaskClient) -> None:
    """The client encodes the body anew, with another boundary."""
    first, again = upload(ada, key="one"), upload(ada, key="one")
    assert (again.status_code, body(again)) == (201, body(first))
    assert len(body(ada.get("/attachments"))["items"]) == 1


def test_a_key_is_rejected_when_it_comes_with_another_file(ada: FlaskClient) -> None:
    """422, and nothing is created."""
    upload(ada, key="one")
    response = upload(ada, b"other", key="one")
    assert (response.status_code, body(response)["code"]) == (422, "idempotency_key_reused")


def test_a_list_has_pages(ada: FlaskClient) -> None:
    """A page and the cursor of the next one."""
    ids = [body(upload(ada))["id"] for _ in range(3)]
    first = body(ada.get("/attachments?limit=2"))
    rest = body(ada.get(f"/attachments?limit=2&cursor={first['next_cursor']}"))
    assert [each["id"] for each in (*first["items"], *rest["items"])] == ids


def test_a_change_needs_the_current_version(ada: FlaskClient) -> None:
    """428 without, 412 with an old one, 200 with the ETag of the last response."""
    place = upload(ada).headers["Location"]
    changed = ada.patch(place, json={"name": "b"}, headers={"If-Match": '"v1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"v2"')
    headers: list[dict[str, str]] = [{}, {"If-Match": '"v1"'}, {"If-Match": '"v2"'}]
    answers = [ada.patch(place, json={"name": "c"}, headers=each) for each in headers]
    assert [each.status_code for each in answers] == [428, 412, 200]


@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_file_of_another_user_does_not_exist(
    ada: FlaskClient, eve: FlaskClient, method: str
) -> None:
    """404, as for an unknown one."""
    place = upload(ada).headers["Location"]
    assert eve.open(place, method=method).status_code == 404


def test_a_deleted_file_is_gone(ada: FlaskClient) -> None:
    """204 without a media type, then 404."""
    place = upload(ada).headers["Location"]
    deleted = ada.delete(place)
    assert (deleted.status_code, deleted.headers.get("Content-Type")) == (204, None)
    assert ada.get(place).status_code == 404


def test_the_document_describes_the_upload(app: Flask) -> None:
    """Scope, limit, key and the problem of this application."""
    document = body(app.test_client().get("/openapi.json"))
    operation = document["paths"]["/attachments"]["post"]
    assert operation["security"] == [{"bearer": ["attachments:write"]}]
    assert operation["requestBody"]["description"] == "At most 4194304 bytes."
    assert operation["responses"]["415"]["$ref"].endswith("/FileTypeRefused_MediaTypeWrong")
    assert [each["name"] for each in operation["parameters"]] == ["Idempotency-Key"]


def test_the_problem_is_explained(app: Flask) -> None:
    """On the page that `type` refers to."""
    assert "file_type_refused" in app.test_client().get("/docs/problems").text
