"""The examples of the document are true in an application without the items of the example."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from itemsapi import Scope, requires
from itemsapi.rest.openapi.document import document_of
from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")  # documents do not depend on the database

ORDERS_READ = Scope("orders:read", "See orders")
Operations = dict[str, dict[str, Any]]


@pytest.fixture
def backend(protect: Callable[..., Backend]) -> Backend:
    """An application with one scope of its own, behind the layer."""
    app = Flask("shop", static_folder=None)
    backend = protect(app, include=["api_keys", "operators"])
    app.add_url_rule("/orders", "orders", requires(ORDERS_READ)(lambda: ""))
    return backend


@pytest.fixture
def document(backend: Backend) -> dict[str, Any]:
    """The document of the layer."""
    return dict(json.loads(document_of(backend.app).body))


def example_of(document: dict[str, Any], path: str) -> Any:
    """Return the example of the body of a POST request."""
    return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]


def test_the_example_of_a_user_creates_one(backend: Backend, document: dict[str, Any]) -> None:
    """No role of the items is in it."""
    backend.create_user("admin", "admin")
    client = backend.bearer_client(backend.login("admin")["access_token"])
    assert client.post("/users", json=example_of(document, "/users")).status_code == 201


def test_the_example_of_an_api_key_creates_one(backend: Backend, document: dict[str, Any]) -> None:
    """With a scope of the application."""
    example = example_of(document, "/me/api-keys")
    backend.create_user("admin", "admin")
    client = backend.bearer_client(backend.login("admin")["access_token"])
    assert (client.post("/me/api-keys", json=example).status_code, example["scopes"]) == (
        201,
        ["orders:read"],
    )


def test_no_example_names_a_scope_of_the_items(document: dict[str, Any]) -> None:
    """Neither those of requests nor those of problems."""
    assert "items:" not in json.dumps(document)
    assert "member" not in json.dumps(document["paths"])


def test_a_lacking_scope_is_one_that_an_operation_needs(document: dict[str, Any]) -> None:
    """The example of the problem names the scope of the first operation that has it."""
    assert "needs the scope tokens:read" in json.dumps(document["components"]["responses"])
