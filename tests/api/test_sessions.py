"""The sessions of a user: where the user is signed in, and how to end a session."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from itemsapi.clock import new_id
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.browser_client import signed_in_browser

PHONE = {"User-Agent": "Phone/1.0"}
COOKIE = {"X-Auth-Delivery": "cookie", "Origin": "http://localhost:8000"}


def list_sessions(client: FlaskClient) -> list[dict[str, object]]:
    """Return the list of sessions."""
    listed: list[dict[str, object]] = client.get("/auth/sessions").get_json()["items"]
    return listed


def sign_in_again(backend: Backend, name: str = "ada") -> dict[str, str]:
    """Sign in once more."""
    return backend.login(name)


def are_tokens_valid(backend: Backend, tokens: dict[str, str]) -> bool:
    """Return whether both tokens of a session are valid."""
    here = backend.bearer_client(tokens["access_token"]).get("/auth/sessions").status_code == 200
    body = {"refresh_token": tokens["refresh_token"]}
    return here and backend.client().post("/auth/refresh", json=body).status_code == 200


def test_a_session_is_listed_with_its_details(backend: Backend) -> None:
    """S-125: device, address, time of sign-in, and whether it is the current one."""
    backend.create_user("ada")
    body = {"username": "ada", "password": PASSWORD}
    tokens = backend.client().post("/auth/login", json=body, headers=PHONE).get_json()
    now = backend.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    later = (backend.clock() + timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert list_sessions(backend.bearer_client(tokens["access_token"])) == [
        {
            "id": tokens["session_id"],
            "device": "Phone/1.0",
            "address": "127.0.0.1",
            "created_at": now,
            "last_used_at": now,
            "expires_at": later,
            "current": True,
        }
    ]


def test_a_device_has_the_label_of_the_sign_in(backend: Backend) -> None:
    """The label precedes the user agent."""
    backend.create_user("ada")
    token = backend.login("ada", device="Kitchen tablet")["access_token"]
    assert list_sessions(backend.bearer_client(token))[0]["device"] == "Kitchen tablet"


@pytest.mark.parametrize("blank", ["  ", "\N{NO-BREAK SPACE}", "\N{IDEOGRAPHIC SPACE}"])
@pytest.mark.parametrize("headers", [{}, COOKIE])
def test_a_device_has_the_name_of_its_user_agent_without_a_label(
    backend: Backend, blank: str, headers: dict[str, str]
) -> None:
    """S-125: a blank label would be an empty row in the list; with either delivery."""
    backend.create_user("ada")
    payload = {"username": "ada", "password": PASSWORD, "device": blank}
    tokens = backend.client().post("/auth/login", json=payload, headers=headers | PHONE).get_json()
    assert list_sessions(backend.bearer_client(tokens["access_token"]))[0]["device"] == "Phone/1.0"


def test_a_device_is_unknown_without_a_label_and_a_user_agent(backend: Backend) -> None:
    """A program need not send a user agent."""
    backend.create_user("ada")
    body = {"username": "ada", "password": PASSWORD}
    tokens = backend.client().post("/auth/login", json=body, headers={"User-Agent": ""}).get_json()
    assert (
        list_sessions(backend.bearer_client(tokens["access_token"]))[0]["device"]
        == "unknown device"
    )


def test_the_most_recently_used_session_comes_first(backend: Backend, ada: FlaskClient) -> None:
    """A refresh is a use."""
    backend.clock.advance(minutes=1)
    second = sign_in_again(backend)
    backend.clock.advance(minutes=1)
    backend.client().post("/auth/refresh", json={"refresh_token": second["refresh_token"]})
    first, last = list_sessions(ada)
    assert (first["id"], first["current"], last["current"]) == (second["session_id"], False, True)


def test_sessions_of_other_users_are_not_listed(backend: Backend, ada: FlaskClient) -> None:
    """S-125."""
    bob = backend.signed_in_client("bob")
    assert len(list_sessions(ada)) == len(list_sessions(bob)) == 1


def test_one_session_ends_and_the_others_continue(backend: Backend, ada: FlaskClient) -> None:
    """S-125: end one of five from another one; at once within the process."""
    five = [sign_in_again(backend) for _ in range(5)]
    assert ada.delete(f"/auth/sessions/{five[2]['session_id']}").status_code == 204
    assert [are_tokens_valid(backend, one) for one in five] == [True, True, False, True, True]


def test_an_ended_session_is_not_listed(backend: Backend, ada: FlaskClient) -> None:
    """What is over is not shown."""
    ada.delete(f"/auth/sessions/{sign_in_again(backend)['session_id']}")
    assert len(list_sessions(ada)) == 1


def test_ending_a_session_twice_succeeds(backend: Backend, ada: FlaskClient) -> None:
    """A retry after a lost response must not look like a failure (R-25)."""
    path = f"/auth/sessions/{sign_in_again(backend)['session_id']}"
    assert [ada.delete(path).status_code for _ in range(2)] == [204, 204]


def test_the_current_session_can_be_ended(ada: FlaskClient) -> None:
    """It is equivalent to a logout."""
    (own,) = list_sessions(ada)
    assert ada.delete(f"/auth/sessions/{own['id']}").status_code == 204
    assert ada.get("/auth/sessions").status_code == 401


def test_a_session_of_another_user_is_not_found(backend: Backend, ada: FlaskClient) -> None:
    """S-125: 404, and it continues."""
    backend.create_user("bob")
    bobs = backend.login("bob")
    assert ada.delete(f"/auth/sessions/{bobs['session_id']}").status_code == 404
    assert are_tokens_valid(backend, bobs)


def test_a_session_of_another_user_looks_like_a_missing_one(
    backend: Backend, ada: FlaskClient
) -> None:
    """The responses are equal."""
    backend.create_user("bob")
    ids = [backend.login("bob")["session_id"], new_id()]
    responses = [ada.delete(f"/auth/sessions/{one}").get_json() for one in ids]
    foreign, missing = ({k: v for k, v in a.items() if k != "request_id"} for a in responses)
    assert foreign == missing


@pytest.mark.parametrize(
    "sid", ["x", "..", "%00", "1' OR 1=1", "01A20682-5B4E-771C-AA73-0989317C0367"]
)
def test_a_session_is_not_found_when_the_id_is_invalid(ada: FlaskClient, sid: str) -> None:
    """An address that cannot be one of a session."""
    assert ada.delete(f"/auth/sessions/{sid}").status_code in {404, 405}


def test_all_sessions_but_the_current_one_end(backend: Backend, ada: FlaskClient) -> None:
    """S-125: "sign out everywhere else"."""
    others = [sign_in_again(backend) for _ in range(3)]
    assert ada.delete("/auth/sessions?except=current").status_code == 204
    assert [are_tokens_valid(backend, one) for one in others] == [False, False, False]
    assert ada.get("/auth/sessions").status_code == 200


def test_all_sessions_end(backend: Backend, ada: FlaskClient) -> None:
    """The current one too."""
    other = sign_in_again(backend)
    assert ada.delete("/auth/sessions").status_code == 204
    assert (are_tokens_valid(backend, other), ada.get("/auth/sessions").status_code) == (False, 401)


@pytest.mark.parametrize(
    "query", ["except=all", "except=", "keep=current", "except=current&except=current"]
)
def test_no_session_ends_when_the_query_is_invalid(
    backend: Backend, ada: FlaskClient, query: str
) -> None:
    """A typing error must not end the current session as well."""
    other = sign_in_again(backend)
    assert ada.delete(f"/auth/sessions?{query}").status_code == 422
    assert are_tokens_valid(backend, other)


def test_sessions_of_other_users_continue_when_all_own_sessions_end(
    backend: Backend, ada: FlaskClient
) -> None:
    """S-125."""
    backend.create_user("bob")
    bobs = backend.login("bob")
    ada.delete("/auth/sessions")
    assert are_tokens_valid(backend, bobs)


def test_expired_sessions_are_not_listed(backend: Backend) -> None:
    """They were idle for too long: their tokens are invalid."""
    backend.create_user("ada")
    sign_in_again(backend)
    backend.clock.advance(days=15)
    assert len(list_sessions(backend.bearer_client(sign_in_again(backend)["access_token"]))) == 1


def test_sessions_ended_by_a_mass_revocation_are_not_listed(backend: Backend) -> None:
    """R-19: one row ended them, and their own rows do not say so."""
    backend.create_user("ada")
    sign_in_again(backend)
    end_all_sessions(backend.services.issuer, why="a test")
    backend.clock.advance(seconds=10)
    assert len(list_sessions(backend.bearer_client(sign_in_again(backend)["access_token"]))) == 1


def test_the_end_of_a_session_is_audited(backend: Backend, ada: FlaskClient) -> None:
    """S-149: who ended which session, and why."""
    sid = sign_in_again(backend)["session_id"]
    ada.delete(f"/auth/sessions/{sid}")
    (event,) = backend.services.audit.latest(before=None, limit=5, event="session_end")
    assert (event.session_id, event.caller_id, event.user_id) == (sid, event.user_id, event.user_id)


def test_a_cookie_session_can_be_ended_by_a_program(backend: Backend, ada: FlaskClient) -> None:
    """Its browser is signed out."""
    browser = signed_in_browser(backend, "bob")
    bob = backend.bearer_client(backend.login("bob")["access_token"])
    assert bob.delete("/auth/sessions?except=current").status_code == 204
    assert browser.post("/auth/refresh", json={}).status_code == 401
