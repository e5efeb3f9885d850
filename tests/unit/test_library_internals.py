"""Canaries for what the code relies on without a public interface of the library.

If one fails after an update of a library, change the module that its message names.
"""

import inspect
from collections.abc import Callable

import flask
import psycopg
import pytest
from flask_jwt_extended import (
    create_access_token,
    decode_token,
    get_current_user,
    get_jwt,
    get_jwt_header,
    get_jwt_identity,
)
from flask_jwt_extended.view_decorators import verify_jwt_in_request
from sqlalchemy import create_engine
from sqlalchemy.engine.interfaces import DBAPIConnection

from itemsapi.gate.caller import caller_of, clear_caller, set_caller
from itemsapi.gate.decorators import public
from itemsapi.problems import TokenInvalid
from itemsapi.rest import Blueprint
from itemsapi.tokens.claims import Claims
from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")  # nothing here depends on the database

Build = Callable[..., Backend]

CLAIMS = Claims(
    "u", "s", 1, 0, "j", 1, 2, 1, ("pwd",), frozenset(), {"sub": "u"}, {"typ": "at+jwt"}
)


def test_flask_jwt_extended_finds_the_claims_that_the_gate_sets(make_backend: Build) -> None:
    """`request_claims` has the names that `get_jwt()` reads in `g`."""
    with make_backend().app.test_request_context("/"):
        set_caller(flask.request, caller_of(CLAIMS))
        found = (get_jwt(), get_jwt_header(), get_jwt_identity())
    expected = ({"sub": "u"}, {"typ": "at+jwt"}, "u")
    assert found == expected, "Flask-JWT-Extended reads other names in `g`: adapt request_claims.py"


def test_flask_jwt_extended_keeps_nothing_else_of_a_request(make_backend: Build) -> None:
    """All that the library keeps belongs to the request: `clear_caller` removes it."""
    with make_backend().app.test_request_context("/"):
        verify_jwt_in_request(optional=True)
        assert get_jwt() == {}
        set_caller(flask.request, caller_of(CLAIMS))
        assert get_jwt() == {"sub": "u"}
        clear_caller(flask.request)
        kept = [name for name in flask.g if "jwt" in name]
        assert not kept, f"Flask-JWT-Extended keeps {kept} in `g` too: adapt request_claims.py"
        with pytest.raises(RuntimeError):
            get_current_user()


def test_psycopg_waits_for_the_server_in_connection_wait() -> None:
    """`TimeoutConnection` overrides `wait` to limit how long the server may be silent."""
    advice = "psycopg waits elsewhere: adapt TimeoutConnection in db/postgres.py"
    assert list(inspect.signature(psycopg.Connection.wait).parameters)[:2] == ["self", "gen"], (
        advice
    )
    for function in (
        psycopg.Cursor.execute,
        psycopg.Connection.commit,
        psycopg.Connection.rollback,
    ):
        assert ".wait(" in inspect.getsource(function), advice


def test_sqlalchemy_pings_with_the_do_ping_of_the_dialect_object() -> None:
    """`set_ping_timeout` replaces `do_ping`, because there is no event for the ping of a pool."""
    engine = create_engine("sqlite://", pool_pre_ping=True)
    pings: list[DBAPIConnection] = []

    def do_ping(connection: DBAPIConnection) -> bool:
        pings.append(connection)
        return True

    engine.dialect.do_ping = do_ping  # type: ignore[assignment]  # as in db/postgres.py
    for _ in range(2):
        engine.connect().close()
    engine.dispose()
    advice = "the pool of SQLAlchemy pings in another way: adapt set_ping_timeout in db/postgres.py"
    assert len(pings) == 1, advice


def test_a_view_can_create_an_access_token_of_its_own(make_backend: Build) -> None:
    """Flask-JWT-Extended verifies the token; the gate rejects it, as it belongs to no session."""
    tokens = Blueprint("tokens", __name__, url_prefix="/tokens")

    @tokens.get("/own")
    @public("a test")
    @tokens.response(200)
    def create() -> object:
        token = create_access_token("me", additional_claims={"for": "a job"})
        claims = decode_token(token)
        return {"token": token, "sub": claims["sub"], "for": claims["for"], "iss": claims["iss"]}

    backend = make_backend(tokens)
    body = backend.client().get("/tokens/own").get_json()
    assert (body["sub"], body["for"]) == ("me", "a job")
    assert body["iss"] == backend.services.settings.public_url
    with backend.app.app_context(), pytest.raises(TokenInvalid):
        backend.services.token_codec.verify_access_token(body["token"])
    response = backend.client().get("/me", headers={"Authorization": f"Bearer {body['token']}"})
    assert (response.status_code, response.get_json()["code"]) == (401, "invalid_token")
