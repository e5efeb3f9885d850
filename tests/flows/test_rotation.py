"""What goes with a refresh: scopes, claims, events, and notes of what was seen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.app_factory import PASSWORD, Backend
from support.forged_tokens import decode_part
from support.operator_client import NEW_PASSWORD
from support.tokens import (
    error_code,
    event_details,
    is_accepted,
    look,
    open_session,
    refresh,
    refreshed,
    revoke_tokens_of_user,
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


CAUSES = [
    ("same attempt", "token_refresh_again", 1),
    ("lost a race", "token_refresh_access", 1),
    ("superseded a moment ago", "token_refresh_wait", 1),
    ("answer lost", "token_refresh_healed", 1),
    ("before a change of password", "token_refresh_void", 1),
    ("predecessor late", "token_reuse", 1),
    ("older generation", "token_reuse", 1),
    ("generation never issued", "token_reuse", 2),
]
ATTEMPT = {"Idempotency-Key": "attempt-0123456789abcdef"}


def bring_about(backend: Backend, cause: str, first: str) -> None:
    """Present the refresh token of the first generation so that this comes of it."""
    body, client = {"refresh_token": first}, backend.client()
    successor = client.post("/auth/refresh", json=body, headers=ATTEMPT).get_json()
    if cause in {"superseded a moment ago", "older generation"}:
        refreshed(backend, successor["refresh_token"])
    if cause == "predecessor late":
        assert is_accepted(backend, successor["access_token"])
    if cause == "before a change of password":
        passwords = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        backend.bearer_client(successor["access_token"]).post("/me/password", json=passwords)
    if cause not in {"same attempt", "lost a race", "superseded a moment ago"}:
        backend.clock.advance(seconds=21)
    if cause == "generation never issued":
        with backend.services.database.transaction() as tx:
            tx.connection().exec_driver_sql("UPDATE itemsapi_session SET gen = 1")
        body = {"refresh_token": successor["refresh_token"]}
    client.post("/auth/refresh", json=body, headers=ATTEMPT if cause == "same attempt" else {})


@pytest.mark.parametrize(("cause", "event", "gen"), CAUSES)
def test_what_came_of_a_token_that_was_shown_before_is_told_with_its_cause(
    backend: Backend, cause: str, event: str, gen: int
) -> None:
    """S-062, S-149: every hit, so that a session that has one at each refresh stands out."""
    bring_about(backend, cause, backend.login("ada")["refresh_token"])
    assert [(one["cause"], one["gen"]) for one in event_details(backend, event)] == [(cause, gen)]


def test_nothing_is_told_when_a_token_just_rotates(backend: Backend) -> None:
    """An alarm that rings at every refresh is none."""
    refreshed(backend, refreshed(backend, backend.login("ada")["refresh_token"])["refresh_token"])
    assert [event_details(backend, name) for _, name, _ in CAUSES] == [[]] * len(CAUSES)


def test_a_token_after_a_refresh_is_not_fresh(backend: Backend) -> None:
    """S-127: `fresh` says that a password was proved for this very token."""
    first = backend.login("ada")
    later = refreshed(backend, first["refresh_token"])
    found = [decode_part(one["access_token"], 1)["fresh"] for one in (first, later)]
    assert found == [True, False]


def test_tokens_say_how_and_when_the_user_signed_in(backend: Backend) -> None:
    """RFC 8176, OpenID Connect: a refresh changes neither `amr` nor `auth_time`."""
    first = backend.login("ada")
    signed_in_at = int(backend.clock().timestamp())
    backend.clock.advance(minutes=5)
    later = refreshed(backend, first["refresh_token"])
    claims = [decode_part(one["access_token"], 1) for one in (first, later)]
    assert [(one["amr"], one["auth_time"]) for one in claims] == [(["pwd"], signed_in_at)] * 2


def test_a_token_is_dated_when_its_scopes_were_looked_up(backend: Backend) -> None:
    """S-112: never ahead of the clock, whatever was taken back before."""
    revoke_tokens_of_user(backend, "ada")
    claims = decode_part(backend.login("ada")["access_token"], 1)
    assert claims["iat"] == int(backend.clock().timestamp())


def test_lifetimes_are_spread(backend: Backend) -> None:
    """R-12: by five per cent either way, so that a crowd does not come back in one second."""
    user_id = backend.services.users.get_by_name("ada").id
    lives = [open_session(backend, user_id).expires_in for _ in range(40)]
    assert 570 <= min(lives) < max(lives) <= 630
    assert len(set(lives)) > 5


def test_less_scope_is_given_to_the_access_token_alone(backend: Backend) -> None:
    """S-065, RFC 6749 section 6: the refresh token keeps what it had."""
    first = backend.login("ada")
    narrow = refreshed(backend, first["refresh_token"], scope="items:read")
    again = refreshed(backend, narrow["refresh_token"])
    assert (narrow["scope"], again["scope"]) == ("items:read", "items:read items:write")


@pytest.mark.parametrize("wanted", ["users:write", "items:read users:write", "nothing:known"])
def test_more_scope_is_refused_and_turns_nothing_over(backend: Backend, wanted: str) -> None:
    """S-065: a refused wish leaves the token as good as it was."""
    first = backend.login("ada")["refresh_token"]
    assert error_code(refresh(backend, first, scope=wanted)) == "invalid_scope"
    assert refreshed(backend, first)


def test_a_scope_given_up_at_sign_in_does_not_come_back(backend: Backend) -> None:
    """S-065: what was not asked for then cannot be had later."""
    first = backend.login("ada", scope="items:read")["refresh_token"]
    assert error_code(refresh(backend, first, scope="items:write")) == "invalid_scope"
    assert refreshed(backend, first)["scope"] == "items:read"


def test_refresh_tokens_are_all_different(backend: Backend) -> None:
    """S-060: ten thousand generations, no token twice; each carries 256 bits of MAC."""
    token_codec, now = backend.services.token_codec, backend.clock()
    with backend.app.app_context():
        made = {
            token_codec.create_refresh_token(
                sub="ada", sid=f"s{n % 100}", gen=n // 100 + 1, issued_at=now, expires_at=now
            )
            for n in range(10_000)
        }
    assert len({token.split(".")[2] for token in made}) == 10_000


def test_a_refresh_token_is_refused_when_its_generation_was_changed(backend: Backend) -> None:
    """S-060: nobody but the issuer can make the next one."""
    session = backend.login("ada")
    with backend.app.app_context():
        now = backend.clock()
        words = {"sub": "ada", "sid": session["session_id"], "issued_at": now, "expires_at": now}
        later = backend.services.token_codec.create_refresh_token(gen=2, **words)
    forged = ".".join([*later.split(".")[:2], session["refresh_token"].split(".")[2]])
    assert error_code(refresh(backend, forged)) == "invalid_refresh_token"


@contextmanager
def without_sessions(backend: Backend) -> Iterator[None]:
    """Take the table of sessions away meanwhile."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_session RENAME TO elsewhere")
    yield
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE elsewhere RENAME TO itemsapi_session")


def test_who_shows_a_new_token_is_answered_when_that_cannot_be_noted(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-074: the note is off the answer's path, and its failure is logged."""
    access = refreshed(backend, backend.login("ada")["refresh_token"])["access_token"]
    with without_sessions(backend):
        assert is_accepted(backend, access)
    assert "generation_not_noted" in capsys.readouterr().err


def test_a_use_that_could_not_be_noted_is_noted_at_a_later_one(backend: Backend) -> None:
    """S-074: or a thief's copy would heal for as long as the token is remembered."""
    first = backend.login("ada")["refresh_token"]
    access = refreshed(backend, first)["access_token"]
    with without_sessions(backend):
        assert is_accepted(backend, access)
    assert [is_accepted(backend, access) for _ in range(20)] == [True] * 20
    backend.clock.advance(seconds=21)
    assert error_code(refresh(backend, first)) == "refresh_reused"


def test_a_use_in_one_process_is_known_in_another(backend: Backend, make_backend: Build) -> None:
    """S-062: what was seen stands in the row."""
    first, other = backend.login("ada")["refresh_token"], make_backend(look)
    assert is_accepted(other, refreshed(backend, first)["access_token"])
    backend.clock.advance(seconds=21)
    assert error_code(refresh(backend, first)) == "refresh_reused"


def test_an_older_access_token_says_nothing_about_the_successor(backend: Backend) -> None:
    """S-062: the client has not got the successor when it uses what it had before."""
    before = refreshed(backend, backend.login("ada")["refresh_token"])
    refreshed(backend, before["refresh_token"])
    assert is_accepted(backend, before["access_token"])
    backend.clock.advance(minutes=5)
    assert refreshed(backend, before["refresh_token"])
