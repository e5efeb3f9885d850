"""Introspection: active tokens with their claims, and inactive ones (RFC 7662)."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.testing.tokens import decode_part
from support.app_factory import Backend

INACTIVE = b'{"active":false}'
Tokens = dict[str, str]


@pytest.fixture
def tokens(backend: Backend) -> Tokens:
    """The tokens of ada, who just signed in."""
    backend.create_user("ada", "member")
    return backend.login("ada")


@pytest.fixture
def introspector(backend: Backend) -> FlaskClient:
    """The client of another service that may introspect tokens."""
    return backend.signed_in_client("service", "admin", scope="tokens:read")


def introspect_raw(client: FlaskClient, token: str) -> bytes:
    """Return the body of the introspection response."""
    response = client.post("/oauth/introspect", data={"token": token})
    assert response.status_code == 200, response.get_data(as_text=True)
    return bytes(response.data)


def introspect(client: FlaskClient, token: str) -> dict[str, Any]:
    """Return the introspection response."""
    claims: dict[str, Any] = client.post("/oauth/introspect", data={"token": token}).get_json()
    return claims


def test_a_valid_access_token_is_active_and_its_claims_are_returned(
    introspector: FlaskClient, tokens: Tokens
) -> None:
    """RFC 7662 section 2.2: the claims that a resource server needs."""
    response = introspect(introspector, tokens["access_token"])
    claims = decode_part(tokens["access_token"], 1)
    names = ("scope", "sub", "sid", "iss", "aud", "iat", "exp", "jti", "auth_time")
    assert response == {"active": True, "token_type": "Bearer"} | {n: claims[n] for n in names}


def test_a_valid_refresh_token_is_active_without_scope_and_type(
    introspector: FlaskClient, tokens: Tokens
) -> None:
    """A resource server must not take it for an access token."""
    response = introspect(introspector, tokens["refresh_token"])
    sub = decode_part(tokens["access_token"], 1)["sub"]
    assert response == {"active": True, "sub": sub, "sid": tokens["session_id"]}


def test_introspection_does_not_use_up_a_refresh_token(
    backend: Backend, introspector: FlaskClient, tokens: Tokens
) -> None:
    """It can still be refreshed, and its successor is unseen."""
    responses = [introspect_raw(introspector, tokens["refresh_token"]) for _ in range(2)]
    assert responses[0] == responses[1]
    body = {"refresh_token": tokens["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=body).status_code == 200


def expire(backend: Backend, tokens: Tokens) -> None:
    """Advance the clock until everything has expired."""
    backend.clock.advance(days=91)


def log_out(backend: Backend, tokens: Tokens) -> None:
    """End the session."""
    backend.client().post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})


def end_all(backend: Backend, tokens: Tokens) -> None:
    """End all sessions of all users."""
    end_all_sessions(backend.services.issuer, why="a test")


def withdraw(backend: Backend, tokens: Tokens) -> None:
    """Withdraw the signing key, and end the session, as refresh tokens have another key."""
    log_out(backend, tokens)
    backend.services.key_set.key_store.withdraw(decode_part(tokens["access_token"], 0)["kid"])


def forge(backend: Backend, tokens: Tokens) -> None:
    """Change the last character of both tokens."""
    for kind in ("access_token", "refresh_token"):
        head, last = tokens[kind][:-1], tokens[kind][-1]
        tokens[kind] = head + ("A" if last != "A" else "B")


def mangle(backend: Backend, tokens: Tokens) -> None:
    """Replace both tokens by malformed ones."""
    tokens.update(access_token="nonsense", refresh_token="a.b.c")


INVALIDATIONS: list[Callable[[Backend, Tokens], None]] = [
    expire,
    log_out,
    end_all,
    withdraw,
    forge,
    mangle,
]


@pytest.mark.parametrize("invalidate", INVALIDATIONS)
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_an_invalid_token_is_inactive_without_a_reason(
    backend: Backend, tokens: Tokens, invalidate: Callable[[Backend, Tokens], None], kind: str
) -> None:
    """S-137: the response is the same byte for byte, whatever the reason."""
    invalidate(backend, tokens)
    backend.clock.advance(seconds=10)
    backend.create_user("service", "admin")
    introspector = backend.bearer_client(backend.login("service")["access_token"])
    assert introspect_raw(introspector, tokens[kind]) == INACTIVE


def test_a_used_refresh_token_is_inactive(
    backend: Backend, introspector: FlaskClient, tokens: Tokens
) -> None:
    """S-137: also within the grace period, because it is not the current one."""
    backend.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert introspect_raw(introspector, tokens["refresh_token"]) == INACTIVE


def test_introspection_of_a_used_refresh_token_does_not_end_the_session(
    backend: Backend, introspector: FlaskClient, tokens: Tokens
) -> None:
    """It is no reuse: reading old logs must not sign users out."""
    second = backend.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    backend.clock.advance(minutes=1)
    introspect_raw(introspector, tokens["refresh_token"])
    body = {"refresh_token": second.get_json()["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=body).status_code == 200


def test_the_predecessor_cannot_heal_after_introspection_of_the_access_token(
    backend: Backend, introspector: FlaskClient, tokens: Tokens
) -> None:
    """S-062: the other service has seen the successor, so the predecessor is a copy."""
    body = {"refresh_token": tokens["refresh_token"]}
    successor = backend.client().post("/auth/refresh", json=body).get_json()
    assert introspect_raw(introspector, successor["access_token"]) == introspect_raw(
        introspector, successor["access_token"]
    )
    backend.clock.advance(minutes=1)
    again = backend.client().post("/auth/refresh", json=body)
    assert again.get_json()["code"] == "refresh_reused"


def test_a_token_stays_active_when_its_use_cannot_be_stored(
    backend: Backend, introspector: FlaskClient, tokens: Tokens
) -> None:
    """It is as valid as before (R-03)."""
    introspect_raw(
        introspector, tokens["access_token"]
    )  # so that the introspector's own token needs no look-up later
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_session RENAME TO elsewhere")
    assert introspect(introspector, tokens["access_token"])["active"]
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE elsewhere RENAME TO itemsapi_session")


def test_a_refresh_token_of_a_disabled_user_is_inactive(
    backend: Backend, introspector: FlaskClient, tokens: Tokens
) -> None:
    """S-067: sessions end when the user is disabled."""
    with backend.services.database.transaction() as tx:
        statement = "UPDATE itemsapi_user SET disabled_at = created_at WHERE username = 'ada'"
        tx.connection().exec_driver_sql(statement)
    assert introspect_raw(introspector, tokens["refresh_token"]) == INACTIVE


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "x"])
def test_a_wrong_token_type_hint_is_ignored(
    introspector: FlaskClient, tokens: Tokens, hint: str
) -> None:
    """RFC 7662 section 2.1 allows it."""
    form = {"token": tokens["access_token"], "token_type_hint": hint}
    assert introspector.post("/oauth/introspect", data=form).get_json()["active"]


def test_the_predecessor_cannot_heal_after_introspection_of_the_refresh_token(
    backend: Backend, introspector: FlaskClient, tokens: Tokens
) -> None:
    """S-062: the other service has the successor, so the predecessor is a copy."""
    body = {"refresh_token": tokens["refresh_token"]}
    successor = backend.client().post("/auth/refresh", json=body).get_json()
    assert introspect(introspector, successor["refresh_token"])["active"]
    backend.clock.advance(minutes=1)
    again = backend.client().post("/auth/refresh", json=body)
    assert again.get_json()["code"] == "refresh_reused"
