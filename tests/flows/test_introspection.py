"""Introspection: what a token is worth, and what a dead one says (RFC 7662)."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from itemsapi.issuer.sessions import end_all_sessions
from support.app_factory import Backend
from support.forged_tokens import decode_part

DEAD = b'{"active":false}'
Tokens = dict[str, str]


@pytest.fixture
def tokens(backend: Backend) -> Tokens:
    """The tokens of ada, who just signed in."""
    backend.create_user("ada", "member")
    return backend.login("ada")


@pytest.fixture
def asker(backend: Backend) -> FlaskClient:
    """Another service, which may ask about tokens."""
    return backend.signed_in_client("service", "admin", scope="tokens:read")


def asked(client: FlaskClient, token: str) -> bytes:
    """Ask what a token is worth."""
    answer = client.post("/oauth/introspect", data={"token": token})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return bytes(answer.data)


def said(client: FlaskClient, token: str) -> dict[str, Any]:
    """Return what a token is worth."""
    found: dict[str, Any] = client.post("/oauth/introspect", data={"token": token}).get_json()
    return found


def test_a_living_access_token_says_what_it_holds(asker: FlaskClient, tokens: Tokens) -> None:
    """RFC 7662 section 2.2: the claims that a resource server needs."""
    told = said(asker, tokens["access_token"])
    claims = decode_part(tokens["access_token"], 1)
    shown = ("scope", "sub", "sid", "iss", "aud", "iat", "exp", "jti", "auth_time")
    assert told == {"active": True, "token_type": "Bearer"} | {n: claims[n] for n in shown}


def test_a_living_refresh_token_says_whose_it_is(asker: FlaskClient, tokens: Tokens) -> None:
    """No scope and no kind that a resource server could take for an access token's."""
    told = said(asker, tokens["refresh_token"])
    sub = decode_part(tokens["access_token"], 1)["sub"]
    assert told == {"active": True, "sub": sub, "sid": tokens["session_id"]}


def test_asking_uses_nothing_up(backend: Backend, asker: FlaskClient, tokens: Tokens) -> None:
    """The refresh token is as good as before, and its successor unseen."""
    told = [asked(asker, tokens["refresh_token"]) for _ in range(2)]
    assert told[0] == told[1]
    body = {"refresh_token": tokens["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=body).status_code == 200


def expire(backend: Backend, tokens: Tokens) -> None:
    """Let everything expire."""
    backend.clock.advance(days=91)


def log_out(backend: Backend, tokens: Tokens) -> None:
    """End the session."""
    backend.client().post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})


def end_all(backend: Backend, tokens: Tokens) -> None:
    """End everybody's session."""
    end_all_sessions(backend.services.issuer, why="a test")


def withdraw(backend: Backend, tokens: Tokens) -> None:
    """Withdraw the key, and end the session besides: refresh tokens have another key."""
    log_out(backend, tokens)
    backend.services.key_set.withdraw(decode_part(tokens["access_token"], 0)["kid"])


def forge(backend: Backend, tokens: Tokens) -> None:
    """Turn the last character of both into another one."""
    for kind in ("access_token", "refresh_token"):
        head, last = tokens[kind][:-1], tokens[kind][-1]
        tokens[kind] = head + ("A" if last != "A" else "B")


def mangle(backend: Backend, tokens: Tokens) -> None:
    """Make nonsense of both."""
    tokens.update(access_token="nonsense", refresh_token="a.b.c")


WAYS: list[Callable[[Backend, Tokens], None]] = [expire, log_out, end_all, withdraw, forge, mangle]


@pytest.mark.parametrize("die", WAYS)
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_dead_token_says_nothing(
    backend: Backend, tokens: Tokens, die: Callable[[Backend, Tokens], None], kind: str
) -> None:
    """S-137: byte for byte the same, however it died."""
    die(backend, tokens)
    backend.clock.advance(seconds=10)
    backend.create_user("service", "admin")
    asker = backend.bearer_client(backend.login("service")["access_token"])
    assert asked(asker, tokens[kind]) == DEAD


def test_a_used_refresh_token_says_nothing(
    backend: Backend, asker: FlaskClient, tokens: Tokens
) -> None:
    """S-137: within the window too, for it is not the one that is good."""
    backend.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert asked(asker, tokens["refresh_token"]) == DEAD


def test_asking_about_a_dead_token_ends_nothing(
    backend: Backend, asker: FlaskClient, tokens: Tokens
) -> None:
    """It is no replay: a log that is read again must not sign anybody out."""
    second = backend.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    backend.clock.advance(minutes=1)
    asked(asker, tokens["refresh_token"])
    body = {"refresh_token": second.get_json()["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=body).status_code == 200


def test_a_token_that_is_used_elsewhere_ends_the_healing(
    backend: Backend, asker: FlaskClient, tokens: Tokens
) -> None:
    """S-062: the service that asks has seen the successor, so its predecessor is a copy."""
    body = {"refresh_token": tokens["refresh_token"]}
    successor = backend.client().post("/auth/refresh", json=body).get_json()
    assert asked(asker, successor["access_token"]) == asked(asker, successor["access_token"])
    backend.clock.advance(minutes=1)
    again = backend.client().post("/auth/refresh", json=body)
    assert again.get_json()["code"] == "refresh_reused"


def test_what_cannot_be_noted_hides_nothing(
    backend: Backend, asker: FlaskClient, tokens: Tokens
) -> None:
    """The token is as good as it was (R-03)."""
    asked(asker, tokens["access_token"])  # lets the asker in, whose own token needs no look-up then
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_session RENAME TO elsewhere")
    assert said(asker, tokens["access_token"])["active"]
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE elsewhere RENAME TO itemsapi_session")


def test_a_disabled_users_tokens_say_nothing(
    backend: Backend, asker: FlaskClient, tokens: Tokens
) -> None:
    """S-067: sessions end with the account."""
    with backend.services.database.transaction() as tx:
        statement = "UPDATE itemsapi_user SET disabled_at = created_at WHERE username = 'ada'"
        tx.connection().exec_driver_sql(statement)
    assert asked(asker, tokens["refresh_token"]) == DEAD


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "x"])
def test_a_wrong_hint_hides_nothing(asker: FlaskClient, tokens: Tokens, hint: str) -> None:
    """RFC 7662 section 2.1: the hint may be ignored."""
    form = {"token": tokens["access_token"], "token_type_hint": hint}
    assert asker.post("/oauth/introspect", data=form).get_json()["active"]


def test_a_refresh_token_that_is_asked_about_ends_the_healing(
    backend: Backend, asker: FlaskClient, tokens: Tokens
) -> None:
    """S-062: whoever asks holds the successor, so its predecessor is a copy."""
    body = {"refresh_token": tokens["refresh_token"]}
    successor = backend.client().post("/auth/refresh", json=body).get_json()
    assert said(asker, successor["refresh_token"])["active"]
    backend.clock.advance(minutes=1)
    again = backend.client().post("/auth/refresh", json=body)
    assert again.get_json()["code"] == "refresh_reused"
