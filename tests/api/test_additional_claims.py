"""Claims of the application in access tokens (`@auth.claims`)."""

import asyncio
import json
from collections import UserDict
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, jsonify
from flask_jwt_extended import get_jwt, get_jwt_header
from sqlalchemy import func, select

from itemsapi import current_caller, signed_in
from itemsapi.audit import ApplicationEvent
from itemsapi.extension import AuthLayer
from itemsapi.issuer.login import LoginRequest, login
from itemsapi.testing import PASSWORD
from itemsapi.tokens.claims import REQUIRED_CLAIMS, RESERVED_CLAIMS, copy_additional_claims
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.host import HostFactory
from support.log_records import LogRecords
from support.tokens import error_code, refresh, refreshed, revoke_tokens_of_user

Build = Callable[[Any], Backend]


def add_routes(app: Flask) -> None:
    """Add views that show the claims."""
    app.add_url_rule("/claims", "claims", signed_in(lambda: dict(current_caller().claims)))
    app.add_url_rule("/jwt", "jwt", signed_in(lambda: dict(get_jwt())))


@pytest.fixture
def build(host: HostFactory) -> Build:
    """Build a host with a function for the claims, and views that show them."""
    return lambda function: host(add_routes, claims=function)


def count_sessions(backend: Backend) -> int:
    """Return the number of sessions."""
    with backend.services.database.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(AuthSession.core())) or 0)


def fail(_user_id: str) -> dict[str, Any]:
    """Fail as a database of the application may."""
    msg = "secret detail"
    raise ConnectionError(msg)


def sign_in(backend: Backend) -> Any:
    """Sign ada in; return the response."""
    body = {"username": "ada", "password": PASSWORD}
    return backend.client().post("/auth/login", json=body)


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("path", ["/claims", "/jwt"])
def test_a_view_sees_the_claims(build: Build, path: str) -> None:
    """Beside those of the token itself."""
    backend = build(lambda user_id: {"tenant": {"id": 7}, "for": user_id})
    shown = backend.signed_in_client("ada").get(path).get_json()
    assert (shown["tenant"], shown["for"]) == ({"id": 7}, shown["sub"])


def test_a_refresh_reads_them_again(build: Build) -> None:
    """They live as long as the access token."""
    tenants = iter(["old", "new"])
    backend = build(lambda _: {"tenant": next(tenants)})
    backend.create_user("ada")
    fresh = refreshed(backend, backend.login("ada")["refresh_token"])
    assert backend.bearer_client(fresh["access_token"]).get("/claims").get_json()["tenant"] == "new"


@pytest.mark.dialect("sqlite")
def test_a_change_of_password_reads_them_again(build: Build) -> None:
    """Its response has tokens, too."""
    tenants = iter(["old", "new"])
    backend = build(lambda _: {"tenant": next(tenants)})
    body = {"current_password": PASSWORD, "new_password": "seven quiet geese cross the river"}
    fresh = backend.signed_in_client("ada").post("/me/password", json=body).get_json()
    assert backend.bearer_client(fresh["access_token"]).get("/claims").get_json()["tenant"] == "new"


@pytest.mark.dialect("sqlite")
def test_an_asynchronous_function_is_awaited(build: Build) -> None:
    """As a view is."""

    async def later(_user_id: str) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"tenant": "later"}

    assert build(later).signed_in_client("ada").get("/claims").get_json()["tenant"] == "later"


@pytest.mark.dialect("sqlite")
def test_the_function_runs_outside_of_flask(build: Build) -> None:
    """The issuer works in a script."""
    backend = build(lambda _: {"tenant": "script"})
    backend.create_user("ada")
    token = login(backend.services.issuer, LoginRequest("ada", PASSWORD)).access_token
    assert backend.bearer_client(token).get("/claims").get_json()["tenant"] == "script"


def test_no_session_is_left_when_the_function_fails(build: Build, log_records: LogRecords) -> None:
    """503, and the log says why; the attempt is not counted as a wrong password."""
    backend = build(fail)
    backend.create_user("ada")
    response = sign_in(backend)
    assert (response.status_code, error_code(response)) == (503, "claims_unavailable")
    assert (count_sessions(backend), "ConnectionError" in "\n".join(log_records.lines())) == (
        0,
        True,
    )


@pytest.mark.dialect("sqlite")
def test_the_response_does_not_show_why_the_function_failed(build: Build) -> None:
    """S-101: the log does."""
    backend = build(fail)
    backend.create_user("ada")
    assert "secret detail" not in sign_in(backend).text


def test_a_refresh_token_stays_good_when_the_function_fails(build: Build) -> None:
    """The same request succeeds later, and gets the successor."""
    working = [True]
    backend = build(lambda user_id: {} if working[0] else fail(user_id))
    backend.create_user("ada")
    token = backend.login("ada")["refresh_token"]
    working[0] = False
    failed = refresh(backend, token)
    working[0] = True
    assert (failed.status_code, "refresh_token" in refreshed(backend, token)) == (503, True)


@pytest.mark.dialect("sqlite")
def test_the_password_stays_when_the_function_fails(build: Build) -> None:
    """Nothing has happened."""
    working = [True]
    backend = build(lambda user_id: {} if working[0] else fail(user_id))
    ada = backend.signed_in_client("ada")
    working[0] = False
    body = {"current_password": PASSWORD, "new_password": "seven quiet geese cross the river"}
    failed = ada.post("/me/password", json=body).status_code
    working[0] = True
    assert (failed, sign_in(backend).status_code) == (503, 200)


@pytest.mark.dialect("sqlite")
def test_a_wrong_password_calls_no_function(build: Build) -> None:
    """It would tell by its time whose password is right."""
    calls: list[str] = []

    def note(user_id: str) -> dict[str, Any]:
        calls.append(user_id)
        return {}

    backend = build(note)
    backend.create_user("ada")
    body = {"username": "ada", "password": "wrong" * 5}
    assert backend.client().post("/auth/login", json=body).status_code == 401
    assert calls == []


def test_a_token_with_claims_from_before_a_recall_is_revoked(build: Build) -> None:
    """S-183: what changed while the function ran is not in the token, so it must not live."""

    def recall(_user_id: str) -> dict[str, Any]:
        revoke_tokens_of_user(backends[0], "ada")
        return {"tenant": "old"}

    backends = [build(recall)]
    backends[0].create_user("ada")
    token = backends[0].login("ada")["access_token"]
    assert backends[0].bearer_client(token).get("/claims").status_code == 401


@pytest.mark.dialect("sqlite")
def test_no_transaction_is_open_while_the_function_runs(build: Build) -> None:
    """It may use the same database, and take its time."""
    holder: list[Backend] = []

    def write(_user_id: str) -> dict[str, str]:
        with holder[0].services.database.transaction() as tx:
            holder[0].services.audit.record(tx, ApplicationEvent("test_event"))
        return {"tenant": "written"}

    holder.append(build(write))
    holder[0].create_user("ada")
    fresh = refreshed(holder[0], holder[0].login("ada")["refresh_token"])["access_token"]
    client = holder[0].bearer_client(fresh)
    body = {"current_password": PASSWORD, "new_password": "seven quiet geese cross the river"}
    assert client.post("/me/password", json=body).status_code == 200


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"sub": "eve"}, "the claim sub is reserved"),
        ({"scope": "users:write"}, "the claim scope is reserved"),
        ({"big": "x" * 2048}, "2048 are allowed"),
        ({"at": object()}, "no JSON"),
        (None, "returned NoneType"),
    ],
)
def test_a_token_gets_no_other_claims(
    build: Build, log_records: LogRecords, claims: Any, fault: str
) -> None:
    """503, and the log says which and why (S-032)."""
    backend = build(lambda _: claims)
    backend.create_user("ada")
    assert error_code(sign_in(backend)) == "claims_unavailable"
    assert fault in "\n".join(log_records.lines())


@pytest.mark.dialect("sqlite")
def test_a_second_function_stops_the_boot() -> None:
    """One of the two would silently have no effect."""
    auth = AuthLayer()
    auth.claims(lambda _: {})
    with pytest.raises(ValueError, match="already is a function"):
        auth.claims(lambda _: {})


@pytest.mark.parametrize(
    "function",
    [lambda: {"a": 1}, lambda one, two: {one: two}, {"tenant": 1}],
    ids=["none", "two", "no function"],
)
def test_a_function_that_does_not_take_one_id_stops_the_boot(function: Any) -> None:
    """Otherwise each sign-in would be a 503."""
    with pytest.raises(TypeError, match=r"^@auth.claims: .* takes? the id of a user: def tenant"):
        AuthLayer().claims(function)


@pytest.mark.dialect("sqlite")
def test_a_sign_in_is_503_when_the_claims_fail_as_they_are_read(build: Build) -> None:
    """As when the function fails: a mapping may compute its values."""

    class Lazy(UserDict[str, str]):
        def __getitem__(self, name: str) -> str:
            raise ConnectionError(name)

    backend = build(lambda _: Lazy(tenant=""))
    backend.create_user("ada")
    assert error_code(sign_in(backend)) == "claims_unavailable"


@pytest.mark.dialect("sqlite")
def test_claims_can_be_returned_as_json(host: HostFactory) -> None:
    """With Flask's function as with the standard library's."""

    def add(app: Flask) -> None:
        app.add_url_rule("/a", "a", signed_in(lambda: jsonify(current_caller().claims)))
        app.add_url_rule("/b", "b", signed_in(lambda: json.dumps(current_caller().claims)))

    ada = host(add, claims=lambda _: {"tenant": {"id": 7}}).signed_in_client("ada")
    assert [json.loads(ada.get(path).text)["tenant"] for path in "ab"] == [{"id": 7}] * 2


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("read", [lambda: current_caller().claims, get_jwt, get_jwt_header])
def test_a_view_that_changes_its_claims_changes_no_other_request(
    host: HostFactory, read: Callable[[], Any]
) -> None:
    """S-084: the process remembers the verified token, and the next request gets it again."""

    def change() -> str:
        claims = read()
        shown = json.dumps(claims)
        claims["extra"] = claims.get("tenant", {})
        claims["extra"]["id"] = 8
        return shown

    backend = host(
        lambda app: app.add_url_rule("/change", "change", signed_in(change)),
        claims=lambda _: {"tenant": {"id": 7}},
    )
    ada = backend.signed_in_client("ada")
    assert ada.get("/change").text == ada.get("/change").text


def test_a_verified_token_cannot_be_changed(build: Build) -> None:
    """It is remembered: `Caller.token` has no list or dictionary that serves the next request."""
    backend = build(lambda _: {"tenant": [{"id": 7}]})
    backend.create_user("ada")
    token = backend.services.token_codec.verify_access_token(backend.login("ada")["access_token"])
    with pytest.raises(TypeError, match="does not support item assignment"):
        token.raw["tenant"][0]["id"] = 8
    assert token.copy()["tenant"] == [{"id": 7}]


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("letter", ["x", "ж", "😀", '"', "\x01", "[", "{"])
def test_claims_that_a_sign_in_accepts_pass_the_gate(build: Build, letter: str) -> None:
    """However many bytes a letter takes in a token; brackets in a text are text."""
    claims: dict[str, str] = {}
    backend, statuses = build(lambda _: claims), set()
    backend.create_user("ada")
    for length in (150, 338, 345, 1000, 1100, 2030, 2040):
        claims["tenant"] = letter * length
        tokens = sign_in(backend).get_json()
        if "access_token" in tokens:
            statuses.add(backend.bearer_client(tokens["access_token"]).get("/jwt").status_code)
    assert statuses == {200}


@pytest.mark.parametrize("name", sorted(RESERVED_CLAIMS))
def test_a_reserved_name_is_refused(name: str) -> None:
    """RFC 7519 section 4.1, and those that the gate reads."""
    with pytest.raises(ValueError, match="is reserved"):
        copy_additional_claims({name: 1})


def test_all_claims_of_a_token_are_reserved() -> None:
    """Also one that is added to the tokens later."""
    assert REQUIRED_CLAIMS < RESERVED_CLAIMS


@pytest.mark.parametrize(
    "claims",
    [
        {"a": float("nan")}, {"a": float("inf")}, {"a": "\ud800"}, {"a": b"x"}, {"a": {1: 2}},
        {"a": (1, 2)}, {1: 2}, [], "x", {"a": [[[[[[[[[[[[[1]]]]]]]]]]]]]}, {"a": {1, 2}},
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_that_no_token_brings_back_is_refused(claims: Any) -> None:
    """What is not JSON, comes back as another value, or is nested too deeply for the gate."""
    with pytest.raises(ValueError, match=r"JSON|lists and objects|not a string|not a dict"):
        copy_additional_claims(claims)


def test_the_largest_claims_pass_the_gate(build: Build) -> None:
    """In size and in nesting."""
    nested: Any = "x" * (2048 - 2 * 11 - len('{"a":""}'))
    for _ in range(11):
        nested = [nested]
    backend = build(lambda _: {"a": nested})
    token = backend.signed_in_client("ada").environ_base["HTTP_AUTHORIZATION"]
    assert len(token) < 4096
    assert backend.bearer_client(token[7:]).get("/claims").get_json()["a"] == nested
