"""Sessions end: at their limits, at the user's wish, at an operator's, and with too many."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from support.race import race

from itemsapi.accounts.models import User
from itemsapi.issuer import sessions
from support.app_factory import PASSWORD, Backend
from support.tokens import (
    error_code,
    event_details,
    is_accepted,
    look,
    open_session,
    refresh,
    refreshed,
)

Build = Callable[..., Backend]


@pytest.fixture
def build(make_backend: Build) -> Build:
    """Build an application with a page to look at, and ada."""

    def make(**changes: Any) -> Backend:
        backend = make_backend(look, **changes)
        backend.create_user("ada", "member")
        return backend

    return make


@pytest.fixture
def backend(build: Build) -> Backend:
    """An application as it comes."""
    return build()


def disable(backend: Backend, user_id: str) -> None:
    """Disable a user as an operator would."""
    issuer = backend.services.issuer
    with issuer.database.transaction() as tx:
        tx.execute(update(User).where(User.id == user_id).values(disabled_at=backend.clock()))
        sessions.end_user_sessions_in(issuer, tx, user_id, keep=None, why="disabled", actor=None)


def test_a_session_ends_at_its_absolute_limit_however_often_it_is_refreshed(build: Build) -> None:
    """S-064, S-123: an hour a time under a moved clock; it ends at login + limit."""
    backend = build(session_max_age=timedelta(days=2), session_max_idle=timedelta(days=1))
    begun, token, times = backend.clock(), backend.login("ada")["refresh_token"], 0
    while (answer := refresh(backend, token)).status_code == 200:
        token, times = answer.json["refresh_token"], times + 1
        backend.clock.advance(hours=1)
    assert (times, error_code(answer)) == (48, "invalid_refresh_token")
    assert backend.clock() == begun + timedelta(days=2)


def test_no_access_token_outlives_its_session(backend: Backend) -> None:
    """S-064: the one made a minute before the absolute limit lives for a minute."""
    token = backend.login("ada")["refresh_token"]
    for _ in range(9):
        backend.clock.advance(days=9.9)
        token = refreshed(backend, token)["refresh_token"]
    backend.clock.advance(days=0.9, seconds=-60)
    assert refreshed(backend, token)["expires_in"] == 60


def test_a_session_lives_in_the_last_second_of_the_idle_limit(backend: Backend) -> None:
    """S-123: fourteen days less a second."""
    token = backend.login("ada")["refresh_token"]
    backend.clock.advance(days=14, seconds=-1)
    assert refreshed(backend, token)


def test_a_session_is_over_when_it_was_idle_for_the_limit(backend: Backend) -> None:
    """S-123: fourteen days; and it was no copy, so no alarm is raised."""
    token = backend.login("ada")["refresh_token"]
    backend.clock.advance(days=14)
    assert error_code(refresh(backend, token)) == "invalid_refresh_token"
    assert event_details(backend, "token_reuse") == []


def test_signing_in_makes_a_session_of_its_own_whatever_the_client_names(backend: Backend) -> None:
    """S-069: a session id given by the client is not adopted."""
    planted = backend.login("ada")["session_id"]
    wish = {"username": "ada", "password": PASSWORD}
    headers = {"Cookie": f"session_id={planted}; sid={planted}", "X-Session-Id": planted}
    made = backend.client().post(f"/auth/login?session_id={planted}", json=wish, headers=headers)
    assert (made.json or {}).get("session_id") != planted
    assert backend.client().post("/auth/login", json=wish | {"sid": planted}).status_code == 422


def test_two_sign_ins_share_nothing(backend: Backend) -> None:
    """S-069: the end of one leaves the other be."""
    one, other = backend.login("ada"), backend.login("ada")
    backend.client().post("/auth/logout", json={"refresh_token": one["refresh_token"]})
    assert not is_accepted(backend, one["access_token"])
    assert is_accepted(backend, other["access_token"])


def test_exactly_the_limit_of_sessions_lives_after_twenty_sign_ins_at_once(build: Build) -> None:
    """S-124: twenty at a limit of five; the five that are left are the newest."""
    backend = build(session_limit=5)
    user_id = backend.create_user("bob", "member")
    made = race(*[lambda: open_session(backend, user_id)] * 20)
    alive = {one.session_id for one in made if is_accepted(backend, one.access_token)}
    assert (len(alive), alive) == (5, newest(backend, 5))


def newest(backend: Backend, count: int) -> set[str]:
    """Return the ids of the sessions that began last."""
    with backend.services.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT id FROM itemsapi_session ORDER BY created_at DESC, id DESC"
        )
        return {row.id for row in rows.fetchmany(count)}


def test_the_oldest_session_goes_with_an_event_when_there_are_too_many(build: Build) -> None:
    """S-124: documented, and told."""
    backend = build(session_limit=2)
    oldest, *rest = [backend.login("ada") for _ in range(3)]
    assert [is_accepted(backend, one["access_token"]) for one in (oldest, *rest)] == [
        False,
        True,
        True,
    ]
    assert len(event_details(backend, "session_limit")) == 1


def old(build: Build, limit: str, *, seconds: float) -> Backend:
    """Build a backend whose limit of that kind is two days; ada's session is so many seconds old."""
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
def test_a_session_past_its_limit_takes_no_place(build: Build, limit: str) -> None:
    """S-124: only sessions that live are counted, to the second."""
    backend = old(build, limit, seconds=TWO_DAYS)
    assert is_accepted(backend, backend.login("ada")["access_token"])
    assert event_details(backend, "session_limit") == []


@each_limit
def test_a_session_in_its_last_second_takes_its_place(build: Build, limit: str) -> None:
    """S-124: it could be refreshed."""
    backend = old(build, limit, seconds=TWO_DAYS - 1)
    backend.login("ada")
    assert len(event_details(backend, "session_limit")) == 1


@each_limit
def test_a_session_is_listed_until_its_limit(build: Build, limit: str) -> None:
    """S-125: as long as it could be refreshed."""
    backend = old(build, limit, seconds=TWO_DAYS - 1)
    assert len(sessions.list_open_sessions(backend.services.issuer, owner(backend))) == 1
    backend.clock.advance(seconds=1)
    assert sessions.list_open_sessions(backend.services.issuer, owner(backend)) == []


def test_signing_out_is_no_error_when_it_is_done_twice(backend: Backend) -> None:
    """R-25: the answer to the first may have been lost."""
    token = {"refresh_token": backend.login("ada")["refresh_token"]}
    answers = [backend.client().post("/auth/logout", json=token) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 204]
    assert len(event_details(backend, "session_end")) == 1


def test_signing_out_ends_the_session_when_an_older_token_is_shown(backend: Backend) -> None:
    """S-066: whoever held it wants out; that is never refused."""
    first = backend.login("ada")["refresh_token"]
    second = refreshed(backend, first)
    backend.client().post("/auth/logout", json={"refresh_token": first})
    assert not is_accepted(backend, second["access_token"])
    assert error_code(refresh(backend, second["refresh_token"])) == "invalid_refresh_token"


def test_a_disabled_user_has_no_session_and_gets_none(backend: Backend) -> None:
    """S-067: the access token ends, and signing in reads like a wrong password."""
    user_id, session = backend.create_user("bob", "member"), backend.login("bob")
    disable(backend, user_id)
    wish = {"username": "bob", "password": PASSWORD}
    assert error_code(backend.client().post("/auth/login", json=wish)) == "invalid_credentials"
    assert not is_accepted(backend, session["access_token"])


def test_a_disabled_user_cannot_refresh(backend: Backend) -> None:
    """S-067: whatever the row of the session says."""
    user_id, session = backend.create_user("bob", "member"), backend.login("bob")
    with backend.services.database.transaction() as tx:
        tx.execute(update(User).where(User.id == user_id).values(disabled_at=backend.clock()))
    assert error_code(refresh(backend, session["refresh_token"])) == "invalid_refresh_token"


def test_sessions_stay_ended_when_a_user_is_enabled_again(backend: Backend) -> None:
    """S-067: what was taken back does not come back with the user."""
    user_id, session = backend.create_user("bob", "member"), backend.login("bob")
    disable(backend, user_id)
    with backend.services.database.transaction() as tx:
        tx.execute(update(User).values(disabled_at=None))
    assert error_code(refresh(backend, session["refresh_token"])) == "invalid_refresh_token"


def test_a_deleted_user_is_out(backend: Backend) -> None:
    """S-067, S-122: the rows went with the user; nobody with the same name inherits the session."""
    user_id, session = backend.create_user("bob", "member"), backend.login("bob")
    with backend.services.database.transaction() as tx:
        tx.delete(tx.get_one(User, user_id))
    backend.create_user("bob", "member")
    assert error_code(refresh(backend, session["refresh_token"])) == "invalid_refresh_token"


def test_one_of_five_sessions_ends_and_the_others_live(backend: Backend) -> None:
    """S-125: end session three from session one."""
    five = [backend.login("ada") for _ in range(5)]
    backend.bearer_client(five[0]["access_token"]).delete(f"/auth/sessions/{five[2]['session_id']}")
    assert [is_accepted(backend, one["access_token"]) for one in five] == [
        True,
        True,
        False,
        True,
        True,
    ]


def test_a_stranger_cannot_end_a_session(backend: Backend) -> None:
    """S-125: it is as if it were not there."""
    mine, stranger = backend.login("ada"), backend.signed_in_client("eve", "member")
    assert stranger.delete(f"/auth/sessions/{mine['session_id']}").status_code == 404
    assert is_accepted(backend, mine["access_token"])


def test_all_sessions_but_this_one_end(backend: Backend) -> None:
    """S-125: somebody found a session that is not theirs."""
    here, there = backend.login("ada"), backend.login("ada")
    backend.bearer_client(here["access_token"]).delete("/auth/sessions?except=current")
    assert (
        is_accepted(backend, here["access_token"]),
        is_accepted(backend, there["access_token"]),
    ) == (
        True,
        False,
    )


def test_nobodys_session_is_listed_when_everybodys_were_ended(backend: Backend) -> None:
    """S-125, R-19: one row ends them all, the list as well."""
    session = backend.login("ada")
    assert len(sessions.list_open_sessions(backend.services.issuer, owner(backend))) == 1
    sessions.end_all_sessions(backend.services.issuer, why="test")
    assert sessions.list_open_sessions(backend.services.issuer, owner(backend)) == []
    assert not is_accepted(backend, session["access_token"])


def owner(backend: Backend) -> str:
    """Return the id of the only user."""
    with backend.services.database.reading() as connection:
        return str(connection.exec_driver_sql("SELECT id FROM itemsapi_user").scalar_one())
