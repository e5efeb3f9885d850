"""The page of one's own account."""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from house import PASSWORD, House
from staff import NEW_PASSWORD, events, refreshes, works


def change(
    client: FlaskClient, current: str = PASSWORD, new: str = NEW_PASSWORD, **more: object
) -> TestResponse:
    """Ask for another password."""
    return client.patch("/me", json={"current_password": current, "new_password": new} | more)


@pytest.fixture
def ada(house: House) -> FlaskClient:
    """A member who is signed in."""
    return house.signed_in("ada", "member")


def test_it_shows_who_asks(house: House, ada: FlaskClient) -> None:
    """What is stored, and what the token says."""
    me = ada.get("/me").get_json()
    assert me["id"] == house.services.people.named("ada").id
    assert (me["username"], me["roles"], me["scopes"]) == (
        "ada",
        ["member"],
        ["items:read", "items:write"],
    )


def test_it_shows_nothing_secret(ada: FlaskClient) -> None:
    """Only what the schema names (S-083)."""
    assert ada.get("/me").get_json().keys() == {
        "id", "username", "roles", "scopes", "session_id", "auth_time", "created_at",
    }  # fmt: skip


def test_it_shows_the_scopes_of_the_token(house: House) -> None:
    """A narrowed token does less than the user may."""
    client = house.signed_in("ada", "member", scope="items:read")
    assert client.get("/me").get_json()["scopes"] == ["items:read"]


def test_the_password_changes(house: House, ada: FlaskClient) -> None:
    """The new one opens, the old one does not (S-042)."""
    assert change(ada).status_code == 200
    assert house.login("ada", password=NEW_PASSWORD)
    old = house.client().post("/auth/login", json={"username": "ada", "password": PASSWORD})
    assert old.status_code == 401


def test_other_sessions_end_and_the_current_one_stays(house: House, ada: FlaskClient) -> None:
    """By default (S-126)."""
    other = house.login("ada")
    change(ada)
    assert not works(house, other)
    assert ada.get("/me").status_code == 200


def test_the_current_session_still_refreshes(house: House) -> None:
    """It is renewed as before (S-126)."""
    house.user("ada", "member")
    tokens = house.login("ada")
    change(house.bearer(tokens["access_token"]))
    assert refreshes(house, tokens).status_code == 200


def test_other_sessions_stay_if_the_user_says_so(house: House, ada: FlaskClient) -> None:
    """It is the user's choice (S-126)."""
    other = house.login("ada")
    change(ada, end_other_sessions=False)
    assert works(house, other)


def test_a_wrong_current_password_changes_nothing(house: House, ada: FlaskClient) -> None:
    """And is written down (S-042, S-149)."""
    answer = change(ada, current="not my password at all")
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (
        422,
        "current_password",
    )
    assert house.login("ada")


def test_a_wrong_current_password_is_written_down(house: House, ada: FlaskClient) -> None:
    """As a failure of its own (S-149)."""
    change(ada, current="not my password at all")
    me = house.services.people.named("ada").id
    assert len(events(house, "authn_password_change_fail", user_id=me)) == 1


def test_the_change_is_written_down(house: House, ada: FlaskClient) -> None:
    """With who, from which session, and no password in it (S-149, S-150)."""
    change(ada)
    (event,) = events(house, "authn_password_change")
    assert event["user_id"] == event["actor_id"] == house.services.people.named("ada").id
    assert NEW_PASSWORD not in str(event)


@pytest.mark.parametrize("new", ["short", "passwordpassword", "adaadaadaadaada", "x" * 257])
def test_a_bad_new_password_is_refused(ada: FlaskClient, new: str) -> None:
    """By the policy, and not counted as a guess (S-040, S-041, S-130)."""
    answer = change(ada, new=new)
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "new_password")


def test_nothing_else_of_the_account_changes(house: House, ada: FlaskClient) -> None:
    """Neither roles nor names can be sent along (S-082, S-084)."""
    answer = change(ada, roles=["admin"], username="root", disabled=False)
    assert answer.status_code == 422
    assert house.services.people.named("ada").roles == ("member",)


def test_both_passwords_are_needed(ada: FlaskClient) -> None:
    """Being signed in is not enough (S-042)."""
    assert ada.patch("/me", json={"new_password": NEW_PASSWORD}).status_code == 422


def test_no_password_grows_old(house: House, ada: FlaskClient) -> None:
    """Nobody is made to change it (S-131)."""
    house.clock.forward(days=400)
    assert house.login("ada")
