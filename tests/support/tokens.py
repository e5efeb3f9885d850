"""Refresh tokens and what becomes of them: what the tests of sessions are written with."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from itemsapi import Blueprint, signed_in
from itemsapi.accounts import repository
from itemsapi.issuer import sessions
from itemsapi.issuer.grants import Grant, grant_tokens
from itemsapi.issuer.login import LoginRequest, create_session
from support.app_factory import Backend

look = Blueprint("look", __name__)


@look.get("/look")
@signed_in
@look.gives(204)
def look_in() -> None:
    """Answer whoever has a good access token."""


@dataclass(frozen=True)
class OpenedSession(Grant):
    """What a sign-in hands over: there is a refresh token."""

    refresh_token: str = field(repr=False)


def open_session(backend: Backend, user_id: str) -> OpenedSession:
    """Open a session for a user whose password was right."""
    issuer = backend.services.issuer
    with issuer.database.transaction() as tx:
        user = repository.find_by_id(tx, user_id, lock=True)
        assert user is not None
        opened = create_session(issuer, tx, user, LoginRequest("", ""))
    with backend.app.app_context():
        made = grant_tokens(issuer, *opened)
    return OpenedSession(**{one.name: getattr(made, one.name) for one in fields(made)})


def revoke_tokens_of_user(backend: Backend, name: str) -> None:
    """Take back a user's access tokens, as a change of roles does."""
    user_id = backend.services.users.get_by_name(name).id
    with backend.services.database.transaction() as tx:
        sessions.revoke_access_tokens(backend.services.issuer, tx, user_id)


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    """Do the same work in many threads; return what came of each."""
    return all_at_once([work] * count)


def all_at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do each work in a thread of its own; return what came of each."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result() for done in [pool.submit(work) for work in works]]


def refresh(
    backend: Backend, token: str, headers: Mapping[str, str] = MappingProxyType({}), **more: Any
) -> Any:
    """Present a refresh token; return the answer."""
    body = {"refresh_token": token} | more
    return backend.client().post("/auth/refresh", json=body, headers=headers)


def refreshed(backend: Backend, token: str, **more: Any) -> dict[str, Any]:
    """Present a refresh token that must be good; return what it was turned into."""
    answer = refresh(backend, token, **more)
    assert answer.status_code == 200, answer.json
    return dict(answer.json)


def error_code(answer: Any) -> str:
    """Return the code of a refusal, or the status of what is none."""
    return str((answer.json or {}).get("code", answer.status_code))


def is_accepted(backend: Backend, access_token: str) -> bool:
    """Tell whether the gate lets an access token in; the backend needs the page `look`."""
    answer = backend.bearer_client(access_token).get("/look")
    assert answer.status_code in {204, 401}, answer.json
    return bool(answer.status_code == 204)


def event_details(backend: Backend, name: str) -> list[dict[str, Any]]:
    """Return the details of the audit events of one name, oldest first."""
    rows = backend.services.audit.latest(before=None, limit=100, event=name)
    return [json.loads(row.details) for row in reversed(rows)]
