"""Operators, and what tests of their pages need."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.accounts.permissions import COMMAND_LINE
from support.app_factory import Backend

NEW_PASSWORD = "seven quiet geese cross the river"
_numbers = count(1)


def create_role(backend: Backend, *scopes: str) -> str:
    """Make a role that gives these scopes; return its name."""
    name = f"role-{next(_numbers)}"
    backend.services.roles.put(COMMAND_LINE, name, description="", scopes=scopes)
    return name


def operator_client(backend: Backend, *scopes: str, name: str = "olga") -> FlaskClient:
    """Make a user with these scopes; return a client that carries their access token."""
    return backend.signed_in_client(name, create_role(backend, *scopes))


def patch_user(
    client: FlaskClient, user_id: str, version: str = "*", **wish: object
) -> TestResponse:
    """Change a user over HTTP."""
    return client.patch(f"/users/{user_id}", json=wish, headers={"If-Match": version})


def list_all(client: FlaskClient, path: str, limit: int, **wanted: str) -> Iterator[dict[str, Any]]:
    """Follow a list page by page; yield what is on them."""
    query: dict[str, Any] = {"limit": limit, **wanted}
    while query.get("cursor", "") is not None:
        page = client.get(path, query_string=query).get_json()
        yield from page["items"]
        query["cursor"] = page["next_cursor"]


def is_signed_in(backend: Backend, tokens: dict[str, Any]) -> bool:
    """Tell whether an access token lets its user in."""
    return backend.bearer_client(tokens["access_token"]).get("/me").status_code == 200


def refresh(backend: Backend, tokens: dict[str, Any]) -> TestResponse:
    """Return the answer to a refresh."""
    return backend.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def events(backend: Backend, name: str, **wanted: object) -> list[dict[str, Any]]:
    """Return the audit events of this name, newest first, as rows."""
    found = backend.services.audit.latest(before=None, limit=1000, event=name)
    rows = [dict(row._asdict()) for row in found]
    return [row for row in rows if wanted.items() <= row.items()]
