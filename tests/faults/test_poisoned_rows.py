"""Rows with unexpected values, and a restored database (R-28, R-29)."""

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
    """An application with the blueprint `look`."""
    return make_backend(look)


def execute_sql(backend: Backend, statement: str, **values: Any) -> None:
    """Execute SQL directly on the database."""
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
def test_an_invalid_session_row_affects_only_its_user(backend: Backend, assignment: str) -> None:
    """R-29: never 500, never more scopes than granted; other users are not affected."""
    invalid_session = open_session(backend, backend.create_user("ada", "member"))
    other = open_session(backend, backend.create_user("bob", "member"))
    statement = f"UPDATE itemsapi_session SET {assignment} WHERE id = :id"  # noqa: S608 - the list above
    execute_sql(backend, statement, id=invalid_session.session_id)
    response = refresh(backend, invalid_session.refresh_token)
    assert response.status_code in {200, 400, 401, 503}
    assert set(response.json.get("scope", "").split()) <= {"items:read", "items:write"}
    assert refreshed(backend, other.refresh_token)


@pytest.mark.parametrize("target", ["", "s:", "x:future", "*x", "s:\u2028"])
def test_an_unknown_revocation_target_is_ignored(backend: Backend, target: str) -> None:
    """R-29: targets of a later version mean nothing to this one."""
    token = open_session(backend, backend.create_user("ada", "member")).access_token
    assert is_accepted(backend, token)
    execute_sql(
        backend,
        "INSERT INTO itemsapi_revocation (seq, target, sessions, made_at)"
        " VALUES (9007199254740992, :target, :no, CURRENT_TIMESTAMP)",
        target=target,
        no=False,
    )
    assert is_accepted(backend, token)


def test_a_token_newer_than_the_restored_database_ends_its_session(backend: Backend) -> None:
    """R-28: it could be anybody's."""
    session = open_session(backend, backend.create_user("ada", "member"))
    newer = refreshed(backend, refreshed(backend, session.refresh_token)["refresh_token"])
    execute_sql(backend, "UPDATE itemsapi_session SET gen = 2, root_gen = 1")
    assert error_code(refresh(backend, newer["refresh_token"])) == "refresh_reused"
    assert error_code(refresh(backend, session.refresh_token)) == "invalid_refresh_token"


def test_ended_sessions_stay_ended_after_a_restore_when_all_sessions_end(
    backend: Backend, make_backend: Build
) -> None:
    """R-28: `itemsapi sessions end --everybody` covers sessions that a restore opened again."""
    session = open_session(backend, backend.create_user("ada", "member"))
    backend.client().post("/auth/logout", json={"refresh_token": session.refresh_token})
    execute_sql(backend, "UPDATE itemsapi_session SET ended_at = NULL, ended_because = NULL")
    execute_sql(backend, "DELETE FROM itemsapi_revocation")
    restarted = make_backend(look)
    sessions.end_all_sessions(restarted.services.issuer, why="backup restored")
    assert not is_accepted(restarted, session.access_token)
    assert error_code(refresh(restarted, session.refresh_token)) == "invalid_refresh_token"
