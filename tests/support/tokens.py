"""Refresh tokens and sessions, for tests of the token rotation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from itemsapi import Blueprint, signed_in
from itemsapi.issuer import sessions
from itemsapi.issuer.issuer import Grant, grant_tokens
from itemsapi.issuer.login import LoginRequest, create_session
from support.app_factory import Backend

look = Blueprint("look", __name__)


@look.get("/look")
@signed_in
@look.response(204)
def check_token() -> None:
    """Accept every valid access token."""


@dataclass(frozen=True)
class OpenedSession(Grant):
    """The grant of a new session; it always has a refresh token."""

    refresh_token: str = field(repr=False)


def open_session(backend: Backend, user_id: str) -> OpenedSession:
    """Open a session for a user, as after a successful login."""
    issuer = backend.services.issuer
    with issuer.users.transaction(user_id) as change:
        assert change.user is not None
        opened = create_session(issuer, change, change.user, LoginRequest("", ""))
    with backend.app.app_context():
        made = grant_tokens(issuer, *opened)
    return OpenedSession(**{one.name: getattr(made, one.name) for one in fields(made)})


def revoke_tokens_of_user(backend: Backend, name: str) -> None:
    """Revoke a user's access tokens, as a change of roles does."""
    user_id = backend.services.users.get_by_name(name).id
    with backend.services.database.transaction() as tx:
        sessions.revoke_access_tokens(backend.services.issuer, tx, user_id)


def refresh(
    backend: Backend, token: str, headers: Mapping[str, str] = MappingProxyType({}), **fields: Any
) -> Any:
    """Send a refresh token; return the response."""
    body = {"refresh_token": token} | fields
    return backend.client().post("/auth/refresh", json=body, headers=headers)


def refreshed(backend: Backend, token: str, **fields: Any) -> dict[str, Any]:
    """Send a refresh token that must be valid; return the response body."""
    response = refresh(backend, token, **fields)
    assert response.status_code == 200, response.json
    return dict(response.json)


def error_code(response: Any) -> str:
    """Return the problem code of a response, or its status if there is none."""
    return str((response.json or {}).get("code", response.status_code))


def is_accepted(backend: Backend, access_token: str) -> bool:
    """Return whether the gate accepts an access token; the backend needs the blueprint `look`."""
    response = backend.bearer_client(access_token).get("/look")
    assert response.status_code in {204, 401}, response.json
    return bool(response.status_code == 204)


def event_details(backend: Backend, name: str) -> list[dict[str, Any]]:
    """Return the details of the audit events with one name, oldest first."""
    rows = backend.services.audit.latest(before=None, limit=100, event=name)
    return [json.loads(row.details) for row in reversed(rows)]
