"""Session fixation: an attacker plants a session and waits for the victim to sign in to it."""

import pytest

from itemsapi.clock import new_id
from itemsapi.rest.cookies import NAME, PLAIN_NAME
from support.app_factory import PASSWORD, House
from support.browser_client import bare, browser, sign_in, token_in, with_cookies


@pytest.fixture
def dialect() -> str:
    """Fixation does not depend on the database."""
    return "sqlite"


def test_a_planted_cookie_is_not_adopted(house: House) -> None:
    """S-069: the victim gets a new session, and the attacker's own ends."""
    house.user("mallory")
    house.user("victim")
    attacker = browser(house)
    planted = sign_in(attacker, "mallory").get_json()["session_id"]
    victim = sign_in(browser(house, jar=False), "victim", **with_cookies(str(token_in(attacker))))
    assert victim.get_json()["session_id"] != planted
    assert attacker.post("/auth/refresh", json={}).status_code == 401


@pytest.mark.parametrize(
    "planted", ["x", "", "a.b.c", "0198c5a1-7b6e-7c31-9f52-4a1d0e8b7c66", "\u00ff" * 20]
)
def test_a_planted_value_is_overlooked(house: House, planted: str) -> None:
    """S-069: whatever it is, it hinders no sign-in."""
    house.user("victim")
    answer = sign_in(browser(house, jar=False), "victim", **with_cookies(planted))
    assert answer.status_code == 200
    assert answer.get_json()["session_id"] != planted


@pytest.mark.parametrize("name", ["session_id", "sid", "refresh_token", "delivery"])
def test_no_field_of_the_login_names_a_session(house: House, name: str) -> None:
    """S-069: the body takes what is documented and nothing else."""
    house.user("victim")
    body = {"username": "victim", "password": PASSWORD, name: new_id()}
    assert house.client().post("/auth/login", json=body).status_code == 422


def test_a_cookie_without_the_prefix_is_not_read(house: House) -> None:
    """S-090: a sibling domain can set any cookie but one named __Host-."""
    house.user("mallory")
    attacker = browser(house)
    sign_in(attacker, "mallory")
    planted = with_cookies(str(token_in(attacker)), name=PLAIN_NAME)
    answer = browser(house, jar=False).post("/auth/refresh", json={}, headers=planted)
    assert answer.get_json()["code"] == "token_missing"


def test_a_second_cookie_of_the_same_name_is_not_chosen(house: House) -> None:
    """Cookie tossing: of two, the attacker's might come first (RFC 6265 section 5.4)."""
    tokens = []
    for name in ("mallory", "victim"):
        house.user(name)
        client = browser(house)
        sign_in(client, name)
        tokens.append(str(token_in(client)))
    both = {"Cookie": "; ".join(f"{NAME}={token}" for token in tokens)}
    answer = browser(house, jar=False).post("/auth/refresh", json={}, headers=both)
    assert answer.status_code == 401


def test_an_access_token_shown_at_login_changes_nothing(house: House) -> None:
    """S-069: the new session is the new user's, whoever else the request claims to be."""
    house.user("victim")
    mallory = house.signed_in("mallory")
    body = {"username": "victim", "password": PASSWORD}
    token = mallory.post("/auth/login", json=body).get_json()["access_token"]
    assert bare(house).get("/auth/sessions").status_code == 401
    assert len(house.bearer(token).get("/auth/sessions").get_json()["items"]) == 1
