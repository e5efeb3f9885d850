"""Sessions end at their limits, by the user, by an operator, and above the session limit."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from itemsapi.accounts.models import User
from itemsapi.issuer import sessions
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.race import race
from support.tokens import (
    error_code,
    event_details,
    is_accepted,
    open_session,
    refresh,
    refreshed,
)

Build = Callable[..., Backend]


@pytest.fixture
def backend(build: Build) -> Backend:
    """An application with default settings."""
    return build()


def disable(backend: Backend, user_id: str) -> None:
    """Disable a user and end their sessions."""
    issuer = backend.services.issuer
    with issuer.database.transaction() as tx:
        tx.execute(update(User).where(User.id == user_id).values(disabled_at=backend.clock()))
        sessions.end_user_sessions_in(
            issuer, tx, user_id, keep=None, why="disabled", caller_id=None
        )


def test_a_session_ends_at_its_absolute_limit_however_often_it_is_refreshed(build: Build) -> None:
    """S-064, S-123: it is refreshed every hour and ends at login + limit."""
    backend = build(session_max_age=timedelta(days=2), session_max_idle=timedelta(days=1))
    started_at, token, count = backend.clock(), backend.login("ada")["refresh_token"], 0
    while (response := refresh(backend, token)).status_code == 200:
        token, count = response.json["refresh_token"], count + 1
        backend.clock.advance(hours=1)
    assert (count, error_code(response)) == (48, "invalid_refresh_token")
    assert backend.clock() == started_at + timedelta(days=2)


def test_an_access_token_expires_with_its_session(backend: Backend) -> None:
    """S-064: one minute before the absolute limit its lifetime is one minute."""
    token = backend.login("ada")["refresh_token"]
    for _ in range(9):
        backend.clock.advance(days=9.9)
        token = refreshed(backend, token)["refresh_token"]
    backend.clock.advance(days=0.9, seconds=-60)
    assert refreshed(backend, token)["expires_in"] == 60


def test_a_session_can_be_refreshed_in_the_last_second_of_the_idle_limit(backend: Backend) -> None:
    """S-123: fourteen days minus one second."""
    token = backend.login("ada")["refresh_token"]
    backend.clock.advance(days=14, seconds=-1)
    assert refreshed(backend, token)


def test_a_session_ends_at_the_idle_limit(backend: Backend) -> None:
    """S-123: after fourteen days; its token is not reported as reused."""
    token = backend.login("ada")["refresh_token"]
    backend.clock.advance(days=14)
    assert error_code(refresh(backend, token)) == "invalid_refresh_token"
    assert event_details(backend, "token_reuse") == []


def test_login_never_uses_a_session_id_of_the_client(backend: Backend) -> None:
    """S-069: in a cookie, header, query or body."""
    foreign_id = backend.login("ada")["session_id"]
    body = {"username": "ada", "password": PASSWORD}
    headers = {"Cookie": f"session_id={foreign_id}; sid={foreign_id}", "X-Session-Id": foreign_id}
    response = backend.client().post(
        f"/auth/login?session_id={foreign_id}", json=body, headers=headers
    )
    assert (response.json or {}).get("session_id") != foreign_id
    assert backend.client().post("/auth/login", json=body | {"sid": foreign_id}).status_code == 422


def test_two_sign_ins_have_separate_sessions(backend: Backend) -> None:
    """S-069: the end of one does not affect the other."""
    one, other = backend.login("ada"), backend.login("ada")
    backend.client().post("/auth/logout", json={"refresh_token": one["refresh_token"]})
    assert not is_accepted(backend, one["access_token"])
    assert is_accepted(backend, other["access_token"])


def test_the_newest_sessions_up_to_the_limit_live_after_twenty_concurrent_sign_ins(
    build: Build,
) -> None:
    """S-124: the limit is five."""
    backend = build(session_limit=5)
    user_id = backend.create_user("bob", "member")
    opened = race(*[lambda: open_session(backend, user_id)] * 20)
    alive = {s.session_id for s in opened if is_accepted(backend, s.access_token)}
    assert (len(alive), alive) == (5, newest_session_ids(backend, 5))


def newest_session_ids(backend: Backend, count: int) -> set[str]:
    """Return the ids of the newest sessions."""
    with backend.services.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT id FROM itemsapi_session ORDER BY created_at DESC, id DESC"
        )
        return {row.id for row in rows.fetchmany(count)}


def test_the_oldest_session_ends_with_an_event_above_the_limit(build: Build) -> None:
    """S-124: the audit trail has the event."""
    backend = build(session_limit=2)
    oldest, *rest = [backend.login("ada") for _ in range(3)]
    accepted = [is_accepted(backend, tokens["access_token"]) for tokens in (oldest, *rest)]
    assert accepted == [False, True, True]
    assert len(event_details(backend, "session_limit")) == 1


def test_an_ended_session_does_not_count_towards_the_session_limit(build: Build) -> None:
    """S-124: whoever signs out often keeps the session of another device."""
    backend = build(session_limit=2)
    kept = backend.login("ada")["access_token"]
    for _ in range(2):
        backend.clock.advance(seconds=1)
        client = backend.bearer_client(backend.login("ada")["access_token"])
        assert client.post("/auth/logout").status_code == 204
    backend.login("ada")
    assert is_accepted(backend, kept)


def backend_with_old_session(build: Build, limit: str, *, seconds: float) -> Backend:
    """Build an application whose `limit` is two days, with a session of ada of this age."""
    age = timedelta(days=2 if limit == "absolute" else 30)
    backend = build(session_limit=1, session_max_age=age, session_max_idle=timedelta(days=2))
    token = backend.login("ada")["refresh_token"]
    if limit == "absolute":
        backend.clock.advance(days=1)
        seconds -= timedelta(days=1).total_seconds()
        refreshed(backend, token)
    backend.clock.advance(seconds=seconds)
    return backend


TWO_DAYS = timedelta(days=2).total_seconds()
each_limit = pytest.mark.parametrize("limit", ["absolute", "idle"])


@each_limit
def test_an_expired_session_does_not_count_towards_the_session_limit(
    build: Build, limit: str
) -> None:
    """S-124: only live sessions count, to the second."""
    backend = backend_with_old_session(build, limit, seconds=TWO_DAYS)
    assert is_accepted(backend, backend.login("ada")["access_token"])
    assert event_details(backend, "session_limit") == []


@each_limit
def test_a_session_in_its_last_second_counts_towards_the_session_limit(
    build: Build, limit: str
) -> None:
    """S-124: it could still be refreshed."""
    backend = backend_with_old_session(build, limit, seconds=TWO_DAYS - 1)
    backend.login("ada")
    assert len(event_details(backend, "session_limit")) == 1


@each_limit
def test_a_session_is_listed_until_its_limit(build: Build, limit: str) -> None:
    """S-125: as long as it can be refreshed."""
    backend = backend_with_old_session(build, limit, seconds=TWO_DAYS - 1)
    assert len(sessions.list_open_sessions(backend.services.issuer, owner(backend))) == 1
    backend.clock.advance(seconds=1)
    assert sessions.list_open_sessions(backend.services.issuer, owner(backend)) == []


def test_a_second_logout_is_no_error(backend: Backend) -> None:
    """R-25: the response to the first may have been lost."""
    token = {"refresh_token": backend.login("ada")["refresh_token"]}
    responses = [backend.client().post("/auth/logout", json=token) for _ in range(2)]
    assert [response.status_code for response in responses] == [204, 204]
    assert len(event_details(backend, "session_end")) == 1


def test_logout_with_an_older_token_ends_the_session(backend: Backend) -> None:
    """S-066: logout is never rejected."""
    first = backend.login("ada")["refresh_token"]
    second = refreshed(backend, first)
    backend.client().post("/auth/logout", json={"refresh_token": first})
    assert not is_accepted(backend, second["access_token"])
    assert error_code(refresh(backend, second["refresh_token"])) == "invalid_refresh_token"


def test_a_disabled_user_has_no_session_and_cannot_sign_in(backend: Backend) -> None:
    """S-067: the response is that to a wrong password."""
    user_id, session = backend.create_user("bob", "member"), backend.login("bob")
    disable(backend, user_id)
    body = {"username": "bob", "password": PASSWORD}
    assert error_code(backend.client().post("/auth/login", json=body)) == "invalid_credentials"
    assert not is_accepted(backend, session["access_token"])


def test_a_disabled_user_cannot_refresh(backend: Backend) -> None:
    """S-067: whatever the session's row contains."""
    user_id, session = backend.create_user("bob", "member"), backend.login("bob")
    with backend.services.database.transaction() as tx:
        tx.execute(update(User).where(User.id == user_id).values(disabled_at=backend.clock()))
    assert error_code(refresh(backend, session["refresh_token"])) == "invalid_refresh_token"


def test_sessions_stay_ended_when_a_user_is_enabled_again(backend: Backend) -> None:
    """S-067: enabling does not restore them."""
    user_id, session = backend.create_user("bob", "member"), backend.login("bob")
    disable(backend, user_id)
    with backend.services.database.transaction() as tx:
        tx.execute(update(User).values(disabled_at=None))
    assert error_code(refresh(backend, session["refresh_token"])) == "invalid_refresh_token"


def test_sessions_of_a_deleted_user_are_invalid(backend: Backend) -> None:
    """S-067, S-122: another user with the same name does not get them."""
    user_id, session = backend.create_user("bob", "member"), backend.login("bob")
    with backend.services.database.transaction() as tx:
        tx.delete(tx.get_one(User, user_id))
    backend.create_user("bob", "member")
    assert error_code(refresh(backend, session["refresh_token"])) == "invalid_refresh_token"


def test_a_user_can_end_one_of_five_sessions(backend: Backend) -> None:
    """S-125: the third, from the first."""
    five = [backend.login("ada") for _ in range(5)]
    backend.bearer_client(five[0]["access_token"]).delete(f"/auth/sessions/{five[2]['session_id']}")
    accepted = [is_accepted(backend, tokens["access_token"]) for tokens in five]
    assert accepted == [True, True, False, True, True]


def test_another_users_session_is_not_found(backend: Backend) -> None:
    """S-125: as if it did not exist."""
    mine, stranger = backend.login("ada"), backend.signed_in_client("eve", "member")
    assert stranger.delete(f"/auth/sessions/{mine['session_id']}").status_code == 404
    assert is_accepted(backend, mine["access_token"])


def test_a_user_can_end_all_other_sessions(backend: Backend) -> None:
    """S-125: such as after finding an unknown session."""
    here, there = backend.login("ada"), backend.login("ada")
    backend.bearer_client(here["access_token"]).delete("/auth/sessions?except=current")
    assert is_accepted(backend, here["access_token"])
    assert not is_accepted(backend, there["access_token"])


def test_no_session_is_listed_after_all_were_ended(backend: Backend) -> None:
    """S-125, R-19: one row ends all of them."""
    session = backend.login("ada")
    assert len(sessions.list_open_sessions(backend.services.issuer, owner(backend))) == 1
    sessions.end_all_sessions(backend.services.issuer, why="test")
    assert sessions.list_open_sessions(backend.services.issuer, owner(backend)) == []
    assert not is_accepted(backend, session["access_token"])


def owner(backend: Backend) -> str:
    """Return the id of the only user."""
    with backend.services.database.reading() as connection:
        return str(connection.exec_driver_sql("SELECT id FROM itemsapi_user").scalar_one())
