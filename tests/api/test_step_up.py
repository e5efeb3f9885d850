"""Rules that ask for a recent sign-in (`within=`), RFC 9470 (S-187)."""

import pytest
from flask import Flask

from itemsapi import requires, signed_in
from itemsapi.gate.rules import Rule
from itemsapi.tokens.scopes import ITEMS_READ
from support.app_factory import Backend
from support.host import HostFactory
from support.tokens import error_code, refreshed

pytestmark = pytest.mark.dialect("sqlite")  # the gate does not depend on the database


def add_routes(app: Flask) -> None:
    """Add a route that asks for a sign-in of the last five minutes."""
    app.get("/delicate")(signed_in(within="5m")(lambda: "fresh"))


@pytest.fixture
def backend(host: HostFactory) -> Backend:
    """A host with the route."""
    return host(add_routes)


@pytest.mark.parametrize(("age", "status"), [(0, 200), (300, 200), (301, 401)])
def test_the_sign_in_has_an_age_at_most(backend: Backend, age: int, status: int) -> None:
    """S-187: to the second."""
    ada = backend.signed_in_client("ada")
    backend.clock.advance(seconds=age)
    assert ada.get("/delicate").status_code == status


def test_the_response_says_how_old_it_may_be(backend: Backend) -> None:
    """RFC 9470 section 3."""
    ada = backend.signed_in_client("ada")
    backend.clock.advance(seconds=301)
    response = ada.get("/delicate")
    assert error_code(response) == "insufficient_user_authentication"
    assert response.headers["WWW-Authenticate"].startswith(
        'Bearer realm="itemsapi", error="insufficient_user_authentication", '
    )
    assert response.headers["WWW-Authenticate"].endswith(', max_age="300"')


def test_a_refresh_makes_no_sign_in_younger(backend: Backend) -> None:
    """S-187: only the password does."""
    backend.create_user("ada")
    tokens = backend.login("ada")
    backend.clock.advance(seconds=301)
    fresh = refreshed(backend, tokens["refresh_token"])["access_token"]
    assert backend.bearer_client(fresh).get("/delicate").status_code == 401


def test_a_request_without_a_token_is_rejected_as_usual(backend: Backend) -> None:
    """There is nothing to step up."""
    assert error_code(backend.client().get("/delicate")) == "token_missing"


def test_a_machine_has_no_sign_in() -> None:
    """So no rule can ask for its age."""
    with pytest.raises(ValueError, match="no other credential comes from a sign-in"):
        requires(ITEMS_READ, by={"access_token", "api_key"}, within="5m")


def test_the_text_of_the_rule_has_the_age() -> None:
    """As `itemsapi access` shows it."""
    assert str(Rule("signed in", within_seconds=300)) == "signed in, within 300 s of the sign-in"
