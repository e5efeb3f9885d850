"""Effects of a refresh: scopes, claims, audit events, and generations marked as seen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from itemsapi.testing import PASSWORD
from itemsapi.testing.tokens import decode_part
from support.app_factory import Backend
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
def backend(build: Build) -> Backend:
    """An application with default settings."""
    return build()


CAUSES = [
    ("same attempt", "token_refresh_repeat", 1),
    ("lost a race", "token_refresh_access_only", 1),
    ("superseded a moment ago", "token_refresh_retry_later", 1),
    ("response lost", "token_refresh_heal", 1),
    ("before a change of password", "token_refresh_invalidated", 1),
    ("predecessor reused", "token_reuse", 1),
    ("older generation", "token_reuse", 1),
    ("generation never issued", "token_reuse", 2),
]
ATTEMPT = {"Idempotency-Key": "attempt-0123456789abcdef"}


def cause_outcome(backend: Backend, cause: str, first: str) -> None:
    """Present the refresh token of the first generation so that this is the outcome."""
    body, client = {"refresh_token": first}, backend.client()
    successor = client.post("/auth/refresh", json=body, headers=ATTEMPT).get_json()
    if cause in {"superseded a moment ago", "older generation"}:
        refreshed(backend, successor["refresh_token"])
    if cause == "predecessor reused":
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
def test_the_outcome_of_a_repeated_refresh_token_is_audited(
    backend: Backend, cause: str, event: str, gen: int
) -> None:
    """S-062, S-149: every time, so that a session with one at each refresh stands out."""
    cause_outcome(backend, cause, backend.login("ada")["refresh_token"])
    assert [(one["cause"], one["gen"]) for one in event_details(backend, event)] == [(cause, gen)]


def test_an_ordinary_rotation_is_not_audited(backend: Backend) -> None:
    """Otherwise the relevant events would be hard to find."""
    refreshed(backend, refreshed(backend, backend.login("ada")["refresh_token"])["refresh_token"])
    assert [event_details(backend, name) for _, name, _ in CAUSES] == [[]] * len(CAUSES)


def test_a_token_after_a_refresh_is_not_fresh(backend: Backend) -> None:
    """S-127: `fresh` says that a password was verified for this very token."""
    first = backend.login("ada")
    later = refreshed(backend, first["refresh_token"])
    fresh_claims = [decode_part(one["access_token"], 1)["fresh"] for one in (first, later)]
    assert fresh_claims == [True, False]


def test_a_refresh_keeps_amr_and_auth_time(backend: Backend) -> None:
    """RFC 8176, OpenID Connect: how and when the user signed in."""
    first = backend.login("ada")
    signed_in_at = int(backend.clock().timestamp())
    backend.clock.advance(minutes=5)
    later = refreshed(backend, first["refresh_token"])
    claims = [decode_part(one["access_token"], 1) for one in (first, later)]
    assert [(one["amr"], one["auth_time"]) for one in claims] == [(["pwd"], signed_in_at)] * 2


def test_iat_is_the_time_when_the_scopes_were_loaded(backend: Backend) -> None:
    """S-112: never ahead of the clock, whatever was revoked before."""
    revoke_tokens_of_user(backend, "ada")
    claims = decode_part(backend.login("ada")["access_token"], 1)
    assert claims["iat"] == int(backend.clock().timestamp())


def test_lifetimes_have_jitter(backend: Backend) -> None:
    """R-12: five per cent either way, so that clients do not return in the same second."""
    user_id = backend.services.users.get_by_name("ada").id
    lives = [open_session(backend, user_id).expires_in for _ in range(40)]
    assert 570 <= min(lives) < max(lives) <= 630
    assert len(set(lives)) > 5


def test_a_narrower_scope_applies_to_the_access_token_only(backend: Backend) -> None:
    """S-065, RFC 6749 section 6: the refresh token keeps its scopes."""
    first = backend.login("ada")
    narrow = refreshed(backend, first["refresh_token"], scope="items:read")
    again = refreshed(backend, narrow["refresh_token"])
    assert (narrow["scope"], again["scope"]) == ("items:read", "items:read items:write")


@pytest.mark.parametrize(
    "scope_requested", ["users:write", "items:read users:write", "nothing:known"]
)
def test_a_wider_scope_is_rejected_without_a_rotation(
    backend: Backend, scope_requested: str
) -> None:
    """S-065: the refresh token stays valid."""
    first = backend.login("ada")["refresh_token"]
    assert error_code(refresh(backend, first, scope=scope_requested)) == "invalid_scope"
    assert refreshed(backend, first)


def test_a_scope_not_requested_at_sign_in_cannot_be_added(backend: Backend) -> None:
    """S-065: not by any later refresh."""
    first = backend.login("ada", scope="items:read")["refresh_token"]
    assert error_code(refresh(backend, first, scope="items:write")) == "invalid_scope"
    assert refreshed(backend, first)["scope"] == "items:read"


def test_refresh_tokens_are_all_different(backend: Backend) -> None:
    """S-060: ten thousand generations, no token twice; each has a MAC of 256 bits."""
    token_codec, now = backend.services.token_codec, backend.clock()
    with backend.app.app_context():
        made = {
            token_codec.create_refresh_token(
                sub="ada", sid=f"s{n % 100}", gen=n // 100 + 1, issued_at=now, expires_at=now
            )
            for n in range(10_000)
        }
    assert len({token.split(".")[2] for token in made}) == 10_000


def test_a_refresh_token_is_rejected_when_its_generation_was_changed(backend: Backend) -> None:
    """S-060: only the issuer can create the next one."""
    session = backend.login("ada")
    with backend.app.app_context():
        now = backend.clock()
        claims = {"sub": "ada", "sid": session["session_id"], "issued_at": now, "expires_at": now}
        later = backend.services.token_codec.create_refresh_token(gen=2, **claims)
    forged = ".".join([*later.split(".")[:2], session["refresh_token"].split(".")[2]])
    assert error_code(refresh(backend, forged)) == "invalid_refresh_token"


@contextmanager
def without_sessions(backend: Backend) -> Iterator[None]:
    """Make the table of sessions unavailable for the duration of a block."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_session RENAME TO elsewhere")
    yield
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE elsewhere RENAME TO itemsapi_session")


def test_a_request_succeeds_when_its_generation_cannot_be_marked_seen(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-074: the mark is written after the response, and its failure is logged."""
    access = refreshed(backend, backend.login("ada")["refresh_token"])["access_token"]
    with without_sessions(backend):
        assert is_accepted(backend, access)
    assert "generation_not_noted" in capsys.readouterr().err


def test_a_failed_mark_is_repeated_at_the_next_use(backend: Backend) -> None:
    """S-074: otherwise a thief's copy could heal while the token is cached."""
    first = backend.login("ada")["refresh_token"]
    access = refreshed(backend, first)["access_token"]
    with without_sessions(backend):
        assert is_accepted(backend, access)
    assert [is_accepted(backend, access) for _ in range(20)] == [True] * 20
    backend.clock.advance(seconds=21)
    assert error_code(refresh(backend, first)) == "refresh_reused"


def test_a_use_in_one_process_is_known_in_another(backend: Backend, make_backend: Build) -> None:
    """S-062: the mark is in the row of the session."""
    first, other = backend.login("ada")["refresh_token"], make_backend(look)
    assert is_accepted(other, refreshed(backend, first)["access_token"])
    backend.clock.advance(seconds=21)
    assert error_code(refresh(backend, first)) == "refresh_reused"


def test_an_older_access_token_does_not_mark_the_successor_as_seen(backend: Backend) -> None:
    """S-062: the client may not have received the successor."""
    before = refreshed(backend, backend.login("ada")["refresh_token"])
    refreshed(backend, before["refresh_token"])
    assert is_accepted(backend, before["access_token"])
    backend.clock.advance(minutes=5)
    assert refreshed(backend, before["refresh_token"])
