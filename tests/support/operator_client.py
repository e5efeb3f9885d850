"""Operators and helpers for tests of the admin endpoints."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.accounts.models import COMMAND_LINE
from support.app_factory import Backend

NEW_PASSWORD = "seven quiet geese cross the river"
_numbers = count(1)


def create_role(backend: Backend, *scopes: str) -> str:
    """Create a role with these scopes; return its name."""
    name = f"role-{next(_numbers)}"
    backend.services.roles.put(COMMAND_LINE, name, description="", scopes=scopes)
    return name


def operator_client(backend: Backend, *scopes: str, name: str = "olga") -> FlaskClient:
    """Create a user with these scopes; return a client that sends their access token."""
    return backend.signed_in_client(name, create_role(backend, *scopes))


def patch_user(
    client: FlaskClient, user_id: str, version: str = "*", **fields: object
) -> TestResponse:
    """Change a user over HTTP."""
    return client.patch(f"/users/{user_id}", json=fields, headers={"If-Match": version})


def list_all(
    client: FlaskClient, path: str, limit: int, **filters: str
) -> Iterator[dict[str, Any]]:
    """Yield the items of all pages of a list."""
    query: dict[str, Any] = {"limit": limit, **filters}
    while query.get("cursor", "") is not None:
        page = client.get(path, query_string=query).get_json()
        yield from page["items"]
        query["cursor"] = page["next_cursor"]


def is_signed_in(backend: Backend, tokens: dict[str, Any]) -> bool:
    """Return whether the access token is accepted."""
    return backend.bearer_client(tokens["access_token"]).get("/me").status_code == 200


def refresh(backend: Backend, tokens: dict[str, Any]) -> TestResponse:
    """Return the response to a refresh."""
    return backend.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def events(backend: Backend, name: str, **columns: object) -> list[dict[str, Any]]:
    """Return the audit events of this name, newest first, as rows."""
    records = backend.services.audit.latest(before=None, limit=1000, event=name)
    rows = [dict(row._asdict()) for row in records]
    return [row for row in rows if columns.items() <= row.items()]
