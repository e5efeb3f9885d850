"""The gate: its cost, its cache, what views see behind it, and what is logged."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask_jwt_extended import get_jwt, get_jwt_header, get_jwt_identity, jwt_required
from sqlalchemy import Engine, event, update

from itemsapi import Blueprint, current_caller, public, requires, signed_in
from itemsapi.clock import new_id
from itemsapi.gate import token_cache
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.key_store import SigningKey
from support.app_factory import Backend
from support.forged_tokens import VAULT, ProtectedEndpoints, TokenForger
from support.manual_timer import ManualTimer

pytestmark = pytest.mark.dialect("sqlite")  # the gate does not depend on the database


@pytest.fixture
def forge(make_backend: Callable[..., Backend]) -> TokenForger:
    """A token forger with a backend of its own."""
    vault = ProtectedEndpoints()
    return TokenForger(make_backend(vault.blueprint, flask_jwt_blueprint()), vault)


def flask_jwt_blueprint() -> Blueprint:
    """Return a blueprint that uses the functions of Flask-JWT-Extended."""
    page = Blueprint("interop", __name__)

    @page.get("/interop")
    @requires(VAULT)
    def show() -> dict[str, object]:
        claims: dict[str, Any] = get_jwt()
        return {"sub": get_jwt_identity(), "scope": claims["scope"], "typ": get_jwt_header()["typ"]}

    @page.get("/who")
    @signed_in
    def who() -> dict[str, object]:
        caller = current_caller()
        return {"user": caller.user_id, "session": caller.session_id, "may": caller.may(VAULT)}

    @page.get("/twice")
    @signed_in
    @jwt_required()  # type: ignore[untyped-decorator]  # it has no types
    def twice() -> dict[str, object]:
        return {"sub": get_jwt_identity()}

    @page.get("/beside")
    @public("a likely mistake")
    @jwt_required()  # type: ignore[untyped-decorator]  # it has no types
    def beside() -> dict[str, object]:
        return {"sub": get_jwt_identity()}

    @page.get("/nobody")
    @public("a test")
    def nobody() -> dict[str, object]:
        return {"user": current_caller().user_id}

    return page


@contextmanager
def record_statements() -> Iterator[list[str]]:
    """Collect every SQL statement that is sent to any database."""
    queries: list[str] = []

    def note(*args: Any) -> None:
        queries.append(args[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield queries
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_a_token_costs_no_query_until_the_copies_are_old(forge: TokenForger) -> None:
    """Neither the first use of a token nor the next hundred (S-023)."""
    forge.try_token(forge.valid_token)
    with record_statements() as queries:
        assert {forge.try_token(forge.with_claims(jti=new_id())) for at in range(100)} == {
            "accepted"
        }
    assert queries == []


def test_old_copies_cost_one_query_each(forge: TokenForger, timer: ManualTimer) -> None:
    """However many requests come in that second: the keys and the revocations."""
    forge.try_token(forge.valid_token)
    timer.advance(1)
    with record_statements() as queries:
        for _ in range(20):
            forge.try_token(forge.valid_token)
    assert sorted(one.partition("FROM ")[2].split()[0] for one in queries) == [
        "itemsapi_revocation",
        "itemsapi_signing_key",
    ]


def test_unknown_kids_cost_no_query(forge: TokenForger) -> None:
    """200 different ones (S-023, GHSA-2gx3-rcp4-g85q)."""
    forge.try_token(forge.valid_token)
    with record_statements() as queries:
        outcomes = {forge.try_token(forge.with_header(kid=f"unknown{at}")) for at in range(200)}
    assert (outcomes, queries) == ({"rejected as an invalid token"}, [])


def test_a_cached_token_expires(forge: TokenForger) -> None:
    """To the second: the cache does not outlast `exp` (S-024)."""
    now = int(forge.backend.clock().timestamp())
    token = forge.with_claims(exp=now + 30)
    outcomes = []
    for _ in range(3):
        outcomes.append(forge.try_token(token))
        forge.backend.clock.advance(seconds=15)
    assert outcomes == ["accepted", "accepted", "rejected as an invalid token"]


def test_a_cached_token_is_rejected_when_it_is_revoked(forge: TokenForger) -> None:
    """At once in the process that revoked it (S-066)."""
    assert forge.try_token(forge.valid_token) == "accepted"
    forge.backend.bearer_client(forge.valid_token).post("/auth/logout", json={})
    assert forge.try_token(forge.valid_token) == "rejected as an invalid token"


def test_a_cached_token_is_rejected_when_all_sessions_are_ended(forge: TokenForger) -> None:
    """One row ends them all (R-19)."""
    assert forge.try_token(forge.valid_token) == "accepted"
    end_all_sessions(forge.backend.services.issuer, why="a test")
    assert forge.try_token(forge.valid_token) == "rejected as an invalid token"


def test_a_cached_token_is_rejected_when_its_key_is_withdrawn(
    forge: TokenForger, timer: ManualTimer
) -> None:
    """Another process withdrew it: noticed within a second (R-20)."""
    assert forge.try_token(forge.valid_token) == "accepted"
    kid = forge.key.kid
    with forge.backend.services.database.transaction() as tx:
        tx.execute(update(SigningKey).where(SigningKey.kid == kid).values(state="withdrawn"))
    timer.advance(1)
    assert forge.try_token(forge.valid_token) == "rejected as an invalid token"


def test_a_token_is_not_cached_when_keys_change_meanwhile(
    forge: TokenForger, timer: ManualTimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verified with the old keys and cached with the new ones, it would outlive its key."""
    services = forge.backend.services
    token_codec, key_store = services.token_codec, services.key_set.key_store
    read, others = token_codec.verify_access_token, forge.with_claims(jti=new_id())

    def slowly(token: str) -> object:
        monkeypatch.setattr(token_codec, "verify_access_token", read)
        claims = read(token)
        key_store.withdraw(forge.key.kid)
        timer.advance(1)
        forge.try_token(others)  # another thread finds the new keys first
        return claims

    monkeypatch.setattr(token_codec, "verify_access_token", slowly)
    forge.try_token(forge.valid_token)
    assert forge.try_token(forge.valid_token) == "rejected as an invalid token"


@pytest.fixture
def verified(forge: TokenForger, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was verified, in order; the cache has room for four."""
    token_codec, verified_tokens = forge.backend.services.token_codec, list[str]()
    read = token_codec.verify_access_token
    monkeypatch.setattr(token_cache, "MAX_TOKENS", 4)

    def noting(token: str) -> Claims:
        verified_tokens.append(token)
        return read(token)

    monkeypatch.setattr(token_codec, "verify_access_token", noting)
    return verified_tokens


def test_the_cache_is_bounded(forge: TokenForger, verified: list[str]) -> None:
    """With more tokens than it has room for, each is verified again when it is used again."""
    tokens = [forge.with_claims(jti=new_id()) for at in range(5)]
    assert {forge.try_token(token) for token in [*tokens, *tokens]} == {"accepted"}
    assert verified == [*tokens, *tokens]


def test_a_token_in_use_is_not_evicted(forge: TokenForger, verified: list[str]) -> None:
    """One that is older than others and was used after them stays."""
    first, second, third, fourth = (forge.with_claims(jti=new_id()) for at in range(4))
    for token in (first, second, third, first, fourth, first, second):
        forge.try_token(token)
    assert verified == [first, second, third, fourth, second]


def test_get_jwt_works_behind_the_gate(forge: TokenForger) -> None:
    """As in Flask-JWT-Extended, with a new and with a cached token."""
    client = forge.backend.bearer_client(forge.valid_token)
    expected = {"sub": forge.payload["sub"], "scope": forge.payload["scope"], "typ": "at+jwt"}
    assert [client.get("/interop").get_json() for _ in range(2)] == [expected] * 2


def test_jwt_required_behind_the_gate_does_no_harm(forge: TokenForger) -> None:
    """It finds the token that the gate accepted."""
    response = forge.backend.bearer_client(forge.valid_token).get("/twice")
    assert (response.status_code, response.get_json()) == (200, {"sub": forge.payload["sub"]})


def test_jwt_required_without_the_gate_rejects_every_request(forge: TokenForger) -> None:
    """It would check neither time nor revocation, so it must not bypass the gate (S-001)."""
    shown = [forge.valid_token, forge.with_claims(exp=2, iat=1)]
    assert {forge.backend.bearer_client(token).get("/beside").status_code for token in shown} == {
        401
    }


def test_a_view_knows_its_caller(forge: TokenForger) -> None:
    """User, session, scopes: all from the token."""
    shown = (
        forge.backend.bearer_client(forge.with_claims(scope="items:read")).get("/who").get_json()
    )
    assert shown == {"user": forge.payload["sub"], "session": forge.payload["sid"], "may": False}


def test_a_public_view_has_no_caller_even_with_a_valid_token(forge: TokenForger) -> None:
    """`current_caller` raises an error."""
    assert forge.backend.bearer_client(forge.valid_token).get("/nobody").status_code == 500


def test_the_error_of_a_public_view_without_a_caller_names_the_decorators(
    forge: TokenForger,
) -> None:
    """An error at `None.user_id` would not help."""
    with forge.backend.app.test_request_context(), pytest.raises(RuntimeError, match="@requires"):
        current_caller()


CANARY = "c4n4ry"


def test_no_credential_is_logged(forge: TokenForger, capfd: pytest.CaptureFixture[str]) -> None:
    """Tokens, passwords, cookies, rejected and accepted, and if the gate fails (S-150)."""
    forge.try_authorization(f"Bearer {CANARY}")
    forge.try_token(forge.with_header(kid=CANARY))
    client = forge.client()
    client.get("/vault", headers={"Authorization": f"Basic {CANARY}", "Cookie": f"a={CANARY}"})
    client.get(f"/vault?access_token={CANARY}", headers={"X-Auth-Delivery": CANARY})
    client.post("/auth/login", json={"username": "forger", "password": CANARY * 3})
    client.post("/auth/refresh", json={"refresh_token": f"{CANARY}.{CANARY}.{CANARY}"})
    output = "".join(capfd.readouterr())
    assert CANARY not in output
    assert not any(
        part in output for part in (*forge.valid_token.split("."), forge.login["refresh_token"])
    )


def test_no_credential_is_logged_when_the_gate_fails(
    forge: TokenForger, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback has code locations, not values (S-150)."""
    monkeypatch.setattr(forge.backend.services.revocation_feed, "check", lambda **_: 1 / 0)
    assert forge.backend.bearer_client(forge.valid_token).get("/vault").status_code == 503
    output = capfd.readouterr().err
    assert "ZeroDivisionError" in output
    assert not any(part in output for part in forge.valid_token.split("."))


EVIL = 'x\r\nSet-Cookie: a=b\n{"event": "forged"}\x1b[31m\u202e\u2028\x00'


def test_log_lines_cannot_be_forged(forge: TokenForger, capfd: pytest.CaptureFixture[str]) -> None:
    """Names, ids and user agents with line breaks and escapes: one JSON object a line (S-151)."""
    forge.try_token(forge.with_header(kid=EVIL[:20]))
    agent = {"User-Agent": "x\x1b[31m\x7f", "X-Request-Id": "x\x1b[31m-12345678"}
    for name in (EVIL, "\u202eadmin", "a\nb"):
        body = {"username": name, "password": "x" * 20, "device": name}
        forge.client().post("/auth/login", json=body, headers=agent)
    lines = capfd.readouterr().err.splitlines()
    assert {json.loads(line)["event"] for line in lines} <= {
        "authn_login_success", "authn_login_fail", "crypto_key_rotated"
    }  # fmt: skip
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_a_rejected_request_counts_for_its_caller(make_backend: Callable[..., Backend]) -> None:
    """A caller without scopes must not use up the limit of others at the address."""
    backend = make_backend(rate_limit="3/hour")
    backend.create_user("eve")
    eve = backend.bearer_client(backend.login("eve")["access_token"])
    assert [eve.get("/items").status_code for _ in range(4)] == [403, 403, 403, 429]
    assert backend.client().get("/items").status_code == 401
