"""Rows that nobody of us wrote, and a database from yesterday (R-28, R-29)."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from itemsapi.issuer import sessions
from support.app_factory import Backend
from support.tokens import error_code, is_accepted, look, open_session, refresh, refreshed

Build = Callable[..., Backend]


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """An application with two users."""
    return make_backend(look)


def poison(backend: Backend, statement: str, **values: Any) -> None:
    """Write past all our code."""
    with backend.services.database.transaction() as tx:
        tx.execute(text(statement), values)


@pytest.mark.parametrize(
    "assignment",
    [
        "gen = 9007199254740993",
        "gen = -1",
        "root_gen = 9007199254740993",
        "root_gen = 1, attempt = 'of the future'",
        "epoch = -1",
        "delivery = 'pigeon'",
        "delivery = ''",
        "scope = 'not a scope \u2028'",
        "scope = ''",
        "amr = ''",
        "ended_because = 'a reason of the future'",
        "expires_at = created_at",
    ],
)
def test_a_strange_session_hurts_nobody_but_its_owner(backend: Backend, assignment: str) -> None:
    """R-29: never 500, never more than was granted; the other user works on."""
    strange = open_session(backend, backend.create_user("ada", "member"))
    other = open_session(backend, backend.create_user("bob", "member"))
    statement = f"UPDATE itemsapi_session SET {assignment} WHERE id = :id"  # noqa: S608 - the list above
    poison(backend, statement, id=strange.session_id)
    answer = refresh(backend, strange.refresh_token)
    assert answer.status_code in {200, 400, 401, 503}
    assert set(answer.json.get("scope", "").split()) <= {"items:read", "items:write"}
    assert refreshed(backend, other.refresh_token)


@pytest.mark.parametrize("target", ["", "s:", "x:future", "*x", "s:\u2028"])
def test_a_strange_revocation_hurts_nobody(backend: Backend, target: str) -> None:
    """R-29: a kind of target that a later version knows means nothing to this one."""
    token = open_session(backend, backend.create_user("ada", "member")).access_token
    assert is_accepted(backend, token)
    poison(
        backend,
        "INSERT INTO itemsapi_revocation (seq, target, sessions, made_at)"
        " VALUES (9007199254740992, :target, :no, CURRENT_TIMESTAMP)",
        target=target,
        no=False,
    )
    assert is_accepted(backend, token)


def test_a_restored_database_brings_no_copied_token_back(backend: Backend) -> None:
    """R-28: a token newer than the backup ends its session; it could be anybody's."""
    session = open_session(backend, backend.create_user("ada", "member"))
    newer = refreshed(backend, refreshed(backend, session.refresh_token)["refresh_token"])
    poison(backend, "UPDATE itemsapi_session SET gen = 2, root_gen = 1")
    assert error_code(refresh(backend, newer["refresh_token"])) == "refresh_reused"
    assert error_code(refresh(backend, session.refresh_token)) == "invalid_refresh_token"


def test_a_restored_database_brings_no_ended_session_back_after_the_one_command(
    backend: Backend, make_backend: Build
) -> None:
    """R-28: `itemsapi sessions end --everybody` after a restore, as operations.md says."""
    session = open_session(backend, backend.create_user("ada", "member"))
    backend.client().post("/auth/logout", json={"refresh_token": session.refresh_token})
    poison(backend, "UPDATE itemsapi_session SET ended_at = NULL, ended_because = NULL")
    poison(backend, "DELETE FROM itemsapi_revocation")
    restarted = make_backend(look)
    sessions.end_all_sessions(restarted.services.issuer, why="backup restored")
    assert not is_accepted(restarted, session.access_token)
    assert error_code(refresh(restarted, session.refresh_token)) == "invalid_refresh_token"
