"""Session fixation: an attacker plants a session and waits for the victim to sign in to it."""

import pytest

from itemsapi.clock import new_id
from itemsapi.endpoints.token_response import COOKIE_NAME, PLAIN_COOKIE_NAME
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.browser_client import (
    cookie_header,
    cookieless_client,
    make_browser,
    refresh_cookie,
    sign_in,
)

pytestmark = pytest.mark.dialect("sqlite")  # fixation does not depend on the database


def test_a_planted_session_is_replaced_at_sign_in(backend: Backend) -> None:
    """S-069: the victim gets a new session, and the attacker's session ends."""
    backend.create_user("mallory")
    backend.create_user("victim")
    attacker = make_browser(backend)
    planted = sign_in(attacker, "mallory").get_json()["session_id"]
    victim = sign_in(
        make_browser(backend, jar=False), "victim", **cookie_header(str(refresh_cookie(attacker)))
    )
    assert victim.get_json()["session_id"] != planted
    assert attacker.post("/auth/refresh", json={}).status_code == 401


@pytest.mark.parametrize(
    "planted", ["x", "", "a.b.c", "0198c5a1-7b6e-7c31-9f52-4a1d0e8b7c66", "\u00ff" * 20]
)
def test_a_planted_cookie_value_is_ignored_at_sign_in(backend: Backend, planted: str) -> None:
    """S-069: no value prevents the sign-in."""
    backend.create_user("victim")
    response = sign_in(make_browser(backend, jar=False), "victim", **cookie_header(planted))
    assert response.status_code == 200
    assert response.get_json()["session_id"] != planted


@pytest.mark.parametrize("name", ["session_id", "sid", "refresh_token", "delivery"])
def test_a_login_is_rejected_when_it_names_a_session(backend: Backend, name: str) -> None:
    """S-069: the body has the documented fields only."""
    backend.create_user("victim")
    body = {"username": "victim", "password": PASSWORD, name: new_id()}
    assert backend.client().post("/auth/login", json=body).status_code == 422


def test_a_cookie_without_the_prefix_is_not_read(backend: Backend) -> None:
    """S-090: a sibling domain can set any cookie but one named __Host-."""
    backend.create_user("mallory")
    attacker = make_browser(backend)
    sign_in(attacker, "mallory")
    planted = cookie_header(str(refresh_cookie(attacker)), name=PLAIN_COOKIE_NAME)
    response = make_browser(backend, jar=False).post("/auth/refresh", json={}, headers=planted)
    assert response.get_json()["code"] == "token_missing"


def test_a_second_cookie_of_the_same_name_is_not_chosen(backend: Backend) -> None:
    """Cookie tossing: of two, the attacker's might come first (RFC 6265 section 5.4)."""
    tokens = []
    for name in ("mallory", "victim"):
        backend.create_user(name)
        client = make_browser(backend)
        sign_in(client, name)
        tokens.append(str(refresh_cookie(client)))
    both = {"Cookie": "; ".join(f"{COOKIE_NAME}={token}" for token in tokens)}
    response = make_browser(backend, jar=False).post("/auth/refresh", json={}, headers=both)
    assert response.status_code == 401


def test_an_access_token_is_ignored_at_sign_in(backend: Backend) -> None:
    """S-069: the new session belongs to the user who signs in."""
    backend.create_user("victim")
    mallory = backend.signed_in_client("mallory")
    body = {"username": "victim", "password": PASSWORD}
    token = mallory.post("/auth/login", json=body).get_json()["access_token"]
    assert cookieless_client(backend).get("/auth/sessions").status_code == 401
    assert len(backend.bearer_client(token).get("/auth/sessions").get_json()["items"]) == 1
