"""Refresh tokens and what becomes of them: what the tests of sessions are written with."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from itemsapi import Blueprint, signed_in
from itemsapi.accounts import repository
from itemsapi.issuer.grants import Grant, grant
from itemsapi.issuer.login import LoginRequest, begin
from itemsapi.issuer.sessions import recall_tokens
from support.app_factory import House

look = Blueprint("look", __name__)


@look.get("/look")
@signed_in
@look.response(204)
def look_in() -> None:
    """Answer whoever has a good access token."""


@dataclass(frozen=True)
class Opened(Grant):
    """What a sign-in hands over: there is a refresh token."""

    refresh_token: str = field(repr=False)


def begun(house: House, user_id: str) -> Opened:
    """Open a session for a user whose password was right."""
    issuer = house.services.issuer
    with issuer.database.transaction() as tx:
        user = repository.find_by_id(tx, user_id, lock=True)
        assert user is not None
        opened = begin(issuer, tx, user, LoginRequest("", ""))
    with house.app.app_context():
        made = grant(issuer, *opened)
    return Opened(**{one.name: getattr(made, one.name) for one in fields(made)})


def recall(house: House, name: str) -> None:
    """Take back a user's access tokens, as a change of roles does."""
    user_id = house.services.users.named(name).id
    with house.services.database.transaction() as tx:
        recall_tokens(house.services.issuer, tx, user_id)


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    """Do the same work in many threads; return what came of each."""
    return all_at_once([work] * count)


def all_at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do each work in a thread of its own; return what came of each."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result() for done in [pool.submit(work) for work in works]]


def refresh(
    house: House, token: str, headers: Mapping[str, str] = MappingProxyType({}), **more: Any
) -> Any:
    """Present a refresh token; return the answer."""
    body = {"refresh_token": token} | more
    return house.client().post("/auth/refresh", json=body, headers=headers)


def renewed(house: House, token: str, **more: Any) -> dict[str, Any]:
    """Present a refresh token that must be good; return what it was turned into."""
    answer = refresh(house, token, **more)
    assert answer.status_code == 200, answer.json
    return dict(answer.json)


def code(answer: Any) -> str:
    """Return the code of a refusal, or the status of what is none."""
    return str((answer.json or {}).get("code", answer.status_code))


def lets_in(house: House, access_token: str) -> bool:
    """Tell whether the gate lets an access token in; the house needs the page `look`."""
    answer = house.bearer(access_token).get("/look")
    assert answer.status_code in {204, 401}, answer.json
    return bool(answer.status_code == 204)


def events(house: House, name: str) -> list[dict[str, Any]]:
    """Return the details of the audit events of one name, oldest first."""
    rows = house.services.audit.latest(before=None, limit=100, event=name)
    return [json.loads(row.details) for row in reversed(rows)]
