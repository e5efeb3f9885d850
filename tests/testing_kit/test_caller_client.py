"""`caller_client`: clients with real access tokens, on an application of somebody else."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from itemsapi.clock import new_id, unix_seconds
from itemsapi.gate.rulebook import RulesInvalid
from itemsapi.testing import access_token, caller_client, close_database
from itemsapi.tokens.revocation import ALL_USERS, session_target, user_target
from support.plain_host import ORDERS_READ, PlainHost


def code(client: FlaskClient, path: str = "/orders") -> str:
    """Return the problem code of a response, or its status."""
    response = client.get(path)
    return str((response.get_json(silent=True) or {}).get("code", response.status_code))


def claims(client: FlaskClient) -> dict[str, Any]:
    """Return the claims that a view sees."""
    return dict(client.get("/whoami").get_json())


@pytest.mark.parametrize("scopes", [["orders:read"], [ORDERS_READ], "orders:read tokens:read"])
def test_a_caller_with_the_scope_is_let_in(app: Flask, scopes: Any) -> None:
    """Scopes are names, `Scope` objects or a scope string."""
    assert code(caller_client(app, scopes=scopes)) == "200"


def test_a_caller_without_the_scope_is_refused(app: Flask) -> None:
    """The gate is not bypassed."""
    assert code(caller_client(app, scopes=["tokens:read"])) == "insufficient_scope"


def test_a_caller_has_no_scopes_by_default(app: Flask) -> None:
    """A test names what its caller may do."""
    assert claims(caller_client(app))["scope"] == ""


def test_an_unknown_scope_is_an_error_that_names_the_known_ones(app: Flask) -> None:
    """A misspelled scope would make a test of a refusal pass."""
    with pytest.raises(ValueError, match=r"orders:raed is no scope of .* orders:read, orders:writ"):
        caller_client(app, scopes=["orders:raed"])


def test_the_caller_is_who_the_test_names(app: Flask) -> None:
    """The ids of user and session, and how the user signed in."""
    user_id, session_id = new_id(), new_id()
    client = caller_client(app, user_id=user_id, session_id=session_id, amr=("pwd", "otp"))
    assert (user_id, session_id, ["pwd", "otp"]) == tuple(
        claims(client)[name] for name in ("sub", "sid", "amr")
    )


def test_two_callers_are_two_users_by_default(app: Flask) -> None:
    """So that a test of "another user's object" needs no ids."""
    assert claims(caller_client(app))["sub"] != claims(caller_client(app))["sub"]


def test_a_token_carries_the_claims_of_the_test(app: Flask) -> None:
    """Claims of the application beside the usual ones."""
    client = caller_client(app, ["orders:read"], claims={"tenant": "north"})
    assert (claims(client)["tenant"], code(client)) == ("north", "200")


def test_a_replaced_claim_is_checked_by_the_gate(app: Flask) -> None:
    """The token is signed with the real key, and still for another audience."""
    assert code(caller_client(app, ["orders:read"], claims={"aud": "x"})) == "invalid_token"


@pytest.mark.parametrize("age", [timedelta(hours=2), -timedelta(hours=2)], ids=["old", "early"])
def test_a_token_of_a_wrong_age_is_refused(app: Flask, age: timedelta) -> None:
    """Expired, and not valid yet (S-024, S-025)."""
    assert code(caller_client(app, ["orders:read"], age=age)) == "invalid_token"


def test_the_age_of_a_token_is_that_of_the_sign_in_too(host: PlainHost) -> None:
    """A rule may ask how long ago the password was checked."""
    client = caller_client(host.app, age=timedelta(minutes=4))
    issued_at = unix_seconds(host.clock()) - 240
    assert (claims(client)["iat"], claims(client)["auth_time"]) == (issued_at, issued_at)


def test_a_token_expires_when_the_clock_moves(host: PlainHost) -> None:
    """The clock of the test is the one of the gate."""
    client = caller_client(host.app, ["orders:read"])
    host.clock.advance(hours=2)
    assert code(client) == "invalid_token"


@pytest.mark.parametrize("target", ["all", "user", "session"])
def test_a_token_is_refused_once_it_is_revoked(host: PlainHost, target: str) -> None:
    """Revocations are those of the application."""
    user_id, session_id = new_id(), new_id()
    client = caller_client(host.app, ["orders:read"], user_id=user_id, session_id=session_id)
    revoke(host, {"user": user_target(user_id), "session": session_target(session_id)}, target)
    assert code(client) == "invalid_token"


@pytest.mark.parametrize("target", ["all", "user"])
def test_a_token_made_after_a_revocation_is_accepted(host: PlainHost, target: str) -> None:
    """It has the epoch of its time, as a token of the issuer has."""
    user_id = new_id()
    revoke(host, {"user": user_target(user_id)}, target)
    assert code(caller_client(host.app, ["orders:read"], user_id=user_id)) == "200"


def revoke(host: PlainHost, targets: dict[str, str], target: str) -> None:
    """Revoke one of the targets, or all tokens."""
    services = host.services
    with services.database.transaction() as tx:
        services.revocation_feed.revoke(tx, targets.get(target, ALL_USERS))


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "HS256"])
def test_tokens_are_signed_with_the_algorithm_of_the_settings(
    tmp_path: Any, algorithm: str
) -> None:
    """With claims of the test too, for which the token is signed a second time (S-020)."""
    host = PlainHost(tmp_path, signing_alg=algorithm)
    assert code(caller_client(host.app, ["orders:read"], claims={"tenant": "north"})) == "200"
    close_database(host.app)


def test_the_client_is_of_the_class_of_the_application(app: Flask) -> None:
    """A project may have a test client of its own."""

    class OwnClient(FlaskClient):
        """A client of the project."""

    app.test_client_class = OwnClient
    assert isinstance(caller_client(app, ["orders:read"]), OwnClient)


def test_a_header_of_the_request_replaces_the_token(app: Flask) -> None:
    """A test may try another credential with the same client."""
    client = caller_client(app, ["orders:read"])
    headers = {"Authorization": f"Bearer {access_token(app)}"}
    assert client.get("/orders", headers=headers).status_code == 403


def test_an_application_without_the_layer_is_an_error() -> None:
    """The message says what to add."""
    with pytest.raises(RuntimeError, match=r"shop has no AuthLayer.*AuthLayer\(app\)"):
        caller_client(Flask("shop"))


def test_an_application_with_an_unguarded_route_is_an_error(host: PlainHost) -> None:
    """The application is sealed, so no test passes while a route has no rule (S-002)."""
    host.app.get("/open")(host.view("open"))
    with pytest.raises(RulesInvalid, match="GET /open has no access rule"):
        caller_client(host.app)
