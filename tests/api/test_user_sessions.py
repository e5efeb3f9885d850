"""The sessions of a user, as operators see and end them."""

import pytest
from flask.testing import FlaskClient

from itemsapi.clock import new_id
from support.app_factory import Backend
from support.operator_client import events, is_signed_in, operator_client

UNKNOWN = "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10"


@pytest.fixture
def bob(backend: Backend) -> str:
    """The id of a member."""
    return backend.create_user("bob", "member")


def test_the_sessions_of_a_user_are_listed(backend: Backend, admin: FlaskClient, bob: str) -> None:
    """S-125: only those of this user, and none is the operator's current one."""
    tokens = backend.login("bob", device="Phone")
    (session,) = admin.get(f"/users/{bob}/sessions").get_json()["items"]
    assert (session["id"], session["device"]) == (tokens["session_id"], "Phone")
    assert session["current"] is False


def test_the_operators_own_session_is_marked(backend: Backend, admin: FlaskClient) -> None:
    """So that nobody ends it by mistake."""
    root = backend.services.users.get_by_name("root").id
    (session,) = admin.get(f"/users/{root}/sessions").get_json()["items"]
    assert session["current"] is True


def test_ended_sessions_of_a_user_are_not_listed(
    backend: Backend, admin: FlaskClient, bob: str
) -> None:
    """The list is empty after a sign-out."""
    tokens = backend.login("bob")
    backend.client().post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    assert admin.get(f"/users/{bob}/sessions").get_json() == {"items": [], "next_cursor": None}


def test_a_list_of_sessions_is_no_event(backend: Backend, admin: FlaskClient, bob: str) -> None:
    """The audit trail contains changes."""
    before = backend.services.audit.latest(before=None, limit=1000)
    admin.get(f"/users/{bob}/sessions")
    assert backend.services.audit.latest(before=None, limit=1000) == before


def test_one_session_of_a_user_ends(backend: Backend, admin: FlaskClient, bob: str) -> None:
    """The others continue."""
    first, second = backend.login("bob"), backend.login("bob")
    path = f"/users/{bob}/sessions/{first['session_id']}"
    assert admin.delete(path).status_code == 204
    assert [is_signed_in(backend, one) for one in (first, second)] == [False, True]


def test_the_operator_who_ended_a_session_is_audited(
    backend: Backend, admin: FlaskClient, bob: str
) -> None:
    """S-149."""
    sid = backend.login("bob")["session_id"]
    admin.delete(f"/users/{bob}/sessions/{sid}")
    root = backend.services.users.get_by_name("root").id
    assert len(events(backend, "session_end", user_id=bob, caller_id=root, session_id=sid)) == 1


def test_a_session_of_another_user_does_not_end(
    backend: Backend, admin: FlaskClient, bob: str
) -> None:
    """The session must be one of the user in the path."""
    backend.create_user("eve")
    tokens = backend.login("eve")
    response = admin.delete(f"/users/{bob}/sessions/{tokens['session_id']}")
    assert (response.status_code, is_signed_in(backend, tokens)) == (404, True)


def test_a_session_of_a_more_powerful_user_does_not_end(backend: Backend) -> None:
    """S-117: an operator cannot sign an admin out."""
    admin_id = backend.create_user("root", "admin")
    tokens = backend.login("root")
    operator = operator_client(backend, "sessions:write")
    response = operator.delete(f"/users/{admin_id}/sessions/{tokens['session_id']}")
    assert (response.status_code, response.get_json()["code"]) == (403, "forbidden")
    assert is_signed_in(backend, tokens)


@pytest.mark.parametrize("user_id", [UNKNOWN, "root", "%00", "1"])
def test_sessions_of_an_unknown_user_are_not_found(admin: FlaskClient, user_id: str) -> None:
    """Invalid ids cause no server error (S-014)."""
    path = f"/users/{user_id}/sessions"
    statuses = [admin.get(path).status_code, admin.delete(f"{path}/{new_id()}").status_code]
    assert statuses == [404, 404]


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("DELETE", f"/{UNKNOWN}")])
def test_other_scopes_do_not_give_access_to_sessions(
    backend: Backend, bob: str, method: str, rest: str
) -> None:
    """Not even all of them together (S-009)."""
    others = backend.services.issuer.known_scopes() - {"sessions:write"}
    response = operator_client(backend, *others).open(f"/users/{bob}/sessions{rest}", method=method)
    assert (response.status_code, response.get_json()["code"]) == (403, "insufficient_scope")
