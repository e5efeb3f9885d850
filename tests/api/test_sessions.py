"""Your sessions: where you are signed in, and how to end that."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from itemsapi.clock import new_id
from itemsapi.issuer.sessions import end_all_sessions
from support.app_factory import PASSWORD, Backend
from support.browser_client import signed_in_browser

PHONE = {"User-Agent": "Phone/1.0"}
COOKIE = {"X-Auth-Delivery": "cookie", "Origin": "http://localhost:8000"}


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """A client that ada signed in with."""
    return backend.signed_in_client("ada", "member")


def sessions(client: FlaskClient) -> list[dict[str, object]]:
    """List the sessions."""
    found: list[dict[str, object]] = client.get("/auth/sessions").get_json()["items"]
    return found


def another(backend: Backend, name: str = "ada") -> dict[str, str]:
    """Sign in once more."""
    return backend.login(name)


def works(backend: Backend, tokens: dict[str, str]) -> bool:
    """Tell whether both tokens of a session are good."""
    here = backend.bearer_client(tokens["access_token"]).get("/auth/sessions").status_code == 200
    body = {"refresh_token": tokens["refresh_token"]}
    return here and backend.client().post("/auth/refresh", json=body).status_code == 200


def test_the_list_tells_what_a_user_wants_to_know(backend: Backend) -> None:
    """S-125: which device, from where, since when, and which one this is."""
    backend.create_user("ada")
    body = {"username": "ada", "password": PASSWORD}
    given = backend.client().post("/auth/login", json=body, headers=PHONE).get_json()
    now = backend.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    later = (backend.clock() + timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert sessions(backend.bearer_client(given["access_token"])) == [
        {
            "id": given["session_id"],
            "device": "Phone/1.0",
            "address": "127.0.0.1",
            "created_at": now,
            "last_used_at": now,
            "expires_at": later,
            "current": True,
        }
    ]


def test_a_device_is_called_what_it_calls_itself(backend: Backend) -> None:
    """The label of the sign-in stands before the user agent."""
    backend.create_user("ada")
    token = backend.login("ada", device="Kitchen tablet")["access_token"]
    assert sessions(backend.bearer_client(token))[0]["device"] == "Kitchen tablet"


@pytest.mark.parametrize("blank", ["  ", "\N{NO-BREAK SPACE}", "\N{IDEOGRAPHIC SPACE}"])
@pytest.mark.parametrize("headers", [{}, COOKIE])
def test_a_device_that_calls_itself_nothing_is_called_by_its_agent(
    backend: Backend, blank: str, headers: dict[str, str]
) -> None:
    """S-125: blanks would be an empty row in the list, whichever way the tokens go."""
    backend.create_user("ada")
    wish = {"username": "ada", "password": PASSWORD, "device": blank}
    given = backend.client().post("/auth/login", json=wish, headers=headers | PHONE).get_json()
    assert sessions(backend.bearer_client(given["access_token"]))[0]["device"] == "Phone/1.0"


def test_a_device_without_a_name_is_unknown(backend: Backend) -> None:
    """A program need not send a user agent."""
    backend.create_user("ada")
    body = {"username": "ada", "password": PASSWORD}
    given = backend.client().post("/auth/login", json=body, headers={"User-Agent": ""}).get_json()
    assert sessions(backend.bearer_client(given["access_token"]))[0]["device"] == "unknown device"


def test_the_latest_used_comes_first(backend: Backend, ada: FlaskClient) -> None:
    """And a refresh is a use."""
    backend.clock.advance(minutes=1)
    second = another(backend)
    backend.clock.advance(minutes=1)
    backend.client().post("/auth/refresh", json={"refresh_token": second["refresh_token"]})
    first, last = sessions(ada)
    assert (first["id"], first["current"], last["current"]) == (second["session_id"], False, True)


def test_nobody_sees_the_sessions_of_others(backend: Backend, ada: FlaskClient) -> None:
    """S-125: the list is the caller's."""
    bob = backend.signed_in_client("bob")
    assert len(sessions(ada)) == len(sessions(bob)) == 1


def test_one_session_ends_and_the_others_live(backend: Backend, ada: FlaskClient) -> None:
    """S-125: end one of five from another one; at once within the process."""
    five = [another(backend) for _ in range(5)]
    assert ada.delete(f"/auth/sessions/{five[2]['session_id']}").status_code == 204
    assert [works(backend, one) for one in five] == [True, True, False, True, True]


def test_an_ended_session_leaves_the_list(backend: Backend, ada: FlaskClient) -> None:
    """What is over is not shown."""
    ada.delete(f"/auth/sessions/{another(backend)['session_id']}")
    assert len(sessions(ada)) == 1


def test_ending_it_twice_is_no_error(backend: Backend, ada: FlaskClient) -> None:
    """A retry after a lost answer must not look like a failure (R-25)."""
    path = f"/auth/sessions/{another(backend)['session_id']}"
    assert [ada.delete(path).status_code for _ in range(2)] == [204, 204]


def test_ones_own_session_can_be_ended(ada: FlaskClient) -> None:
    """It is a logout by another name."""
    (own,) = sessions(ada)
    assert ada.delete(f"/auth/sessions/{own['id']}").status_code == 204
    assert ada.get("/auth/sessions").status_code == 401


def test_a_foreign_session_is_not_there(backend: Backend, ada: FlaskClient) -> None:
    """S-125: 404, and it lives on."""
    backend.create_user("bob")
    bobs = backend.login("bob")
    assert ada.delete(f"/auth/sessions/{bobs['session_id']}").status_code == 404
    assert works(backend, bobs)


def test_a_foreign_session_looks_like_none(backend: Backend, ada: FlaskClient) -> None:
    """The answer does not tell the two apart."""
    backend.create_user("bob")
    ids = [backend.login("bob")["session_id"], new_id()]
    answers = [ada.delete(f"/auth/sessions/{one}").get_json() for one in ids]
    one, other = ({k: v for k, v in a.items() if k != "request_id"} for a in answers)
    assert one == other


@pytest.mark.parametrize(
    "sid", ["x", "..", "%00", "1' OR 1=1", "01A20682-5B4E-771C-AA73-0989317C0367"]
)
def test_what_is_no_id_is_not_there(ada: FlaskClient, sid: str) -> None:
    """An address that cannot be one of a session."""
    assert ada.delete(f"/auth/sessions/{sid}").status_code in {404, 405}


def test_the_others_end_and_this_one_lives(backend: Backend, ada: FlaskClient) -> None:
    """S-125: "sign out everywhere else"."""
    others = [another(backend) for _ in range(3)]
    assert ada.delete("/auth/sessions?except=current").status_code == 204
    assert [works(backend, one) for one in others] == [False, False, False]
    assert ada.get("/auth/sessions").status_code == 200


def test_all_end_without_an_exception(backend: Backend, ada: FlaskClient) -> None:
    """This one too."""
    other = another(backend)
    assert ada.delete("/auth/sessions").status_code == 204
    assert (works(backend, other), ada.get("/auth/sessions").status_code) == (False, 401)


@pytest.mark.parametrize(
    "query", ["except=all", "except=", "keep=current", "except=current&except=current"]
)
def test_a_slip_of_the_pen_ends_nothing(backend: Backend, ada: FlaskClient, query: str) -> None:
    """A wrong word must not sign this device out as well."""
    other = another(backend)
    assert ada.delete(f"/auth/sessions?{query}").status_code == 422
    assert works(backend, other)


def test_others_people_sessions_live_when_all_mine_end(backend: Backend, ada: FlaskClient) -> None:
    """S-125: only one's own."""
    backend.create_user("bob")
    bobs = backend.login("bob")
    ada.delete("/auth/sessions")
    assert works(backend, bobs)


def test_sessions_past_their_life_are_not_listed(backend: Backend) -> None:
    """Idle for too long: no token of theirs is good."""
    backend.create_user("ada")
    another(backend)
    backend.clock.advance(days=15)
    assert len(sessions(backend.bearer_client(another(backend)["access_token"]))) == 1


def test_sessions_that_ended_with_everybodys_are_not_listed(backend: Backend) -> None:
    """R-19: one row ended them, and their own rows do not say so."""
    backend.create_user("ada")
    another(backend)
    end_all_sessions(backend.services.issuer, why="a test")
    backend.clock.advance(seconds=10)
    assert len(sessions(backend.bearer_client(another(backend)["access_token"]))) == 1


def test_an_ending_is_on_the_trail(backend: Backend, ada: FlaskClient) -> None:
    """S-149: who ended which session, and why."""
    sid = another(backend)["session_id"]
    ada.delete(f"/auth/sessions/{sid}")
    (event,) = backend.services.audit.latest(before=None, limit=5, event="session_end")
    assert (event.session_id, event.actor_id, event.user_id) == (sid, event.user_id, event.user_id)


def test_a_cookie_session_ends_as_any_other(backend: Backend, ada: FlaskClient) -> None:
    """From a program, a browser is signed out."""
    browser = signed_in_browser(backend, "bob")
    bob = backend.bearer_client(backend.login("bob")["access_token"])
    assert bob.delete("/auth/sessions?except=current").status_code == 204
    assert browser.post("/auth/refresh", json={}).status_code == 401
