"""The links of the document, followed: from a response to the operation that takes what it has."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from support.app_factory import Backend

ITEM = {"name": "Lamp", "price": "12.50", "currency": "EUR"}
NEW_USER = {"username": "grace", "password": "correct horse battery staple"}


@pytest.fixture
def document(backend: Backend) -> dict[str, Any]:
    """The served document."""
    return dict(backend.client().get("/openapi.json").get_json())


def follow(backend: Backend, document: dict[str, Any], link: Any, body: Any) -> TestResponse:
    """Send the request of a link, with what `$response.body#/name` points to."""
    values = {f"$response.body#/{name}": value for name, value in body.items()}
    (path, method) = next(
        (path, method)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if operation["operationId"] == link["operationId"]
    )
    target = path.format(**{name: values[at] for name, at in link.get("parameters", {}).items()})
    payload = {name: values[at] for name, at in link.get("requestBody", {}).items()}
    client = backend.bearer_client(backend.login("ada")["access_token"])
    return client.open(target, method=method.upper(), json=payload or None)


@pytest.mark.parametrize(("path", "body"), [("/items", ITEM), ("/users", NEW_USER)])
def test_what_is_created_is_shown_by_its_link(
    backend: Backend, document: dict[str, Any], path: str, body: dict[str, str]
) -> None:
    """201 links to the GET of the same id."""
    backend.create_user("ada", "admin")
    client = backend.bearer_client(backend.login("ada")["access_token"])
    created = client.post(path, json=body).get_json()
    link = document["paths"][path]["post"]["responses"]["201"]["links"]["show"]
    assert follow(backend, document, link, created).get_json() == created


def test_tokens_are_refreshed_by_their_link(backend: Backend, document: dict[str, Any]) -> None:
    """A sign-in links to the refresh."""
    backend.create_user("ada", "member")
    link = document["paths"]["/auth/login"]["post"]["responses"]["200"]["links"]["refresh"]
    answer = follow(backend, document, link, backend.login("ada"))
    assert (answer.status_code, "access_token" in answer.get_json()) == (200, True)
