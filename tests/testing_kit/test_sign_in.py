"""`create_user` and `sign_in`: users with a password, and their real sessions."""

from pathlib import Path

import pytest
from flask import Flask

import itemsapi.testing
from itemsapi import AuthLayer, UserAccount
from itemsapi.problems import Conflict, ValidationFailed
from itemsapi.testing import (
    PASSWORD,
    close_database,
    create_tables,
    create_user,
    sign_in,
    testing_settings,
)


def test_a_user_signs_in_and_calls(app: Flask) -> None:
    """The client sends the access token of the sign-in."""
    user_id = create_user(app, "ada", scopes=["orders:read"])
    assert sign_in(app, "ada").client.get("/orders").get_json()["sub"] == user_id


def test_a_user_has_the_scopes_of_the_test_only(app: Flask) -> None:
    """They come by a role of this user."""
    create_user(app, "ada", scopes=["orders:read"])
    create_user(app, "eve", scopes=["orders:write"])
    assert sign_in(app, "ada").body["scope"] == "orders:read"


def test_a_user_has_the_scopes_of_the_roles_too(app: Flask) -> None:
    """Roles of the application, by name."""
    create_user(app, "ada", roles=["admin"], scopes=["orders:read"])
    assert {"orders:read", "orders:write"} <= set(sign_in(app, "ada").body["scope"].split())


def test_a_sign_in_may_ask_for_fewer_scopes(app: Flask) -> None:
    """Fields of the request are passed on."""
    create_user(app, "ada", scopes=["orders:read", "orders:write"])
    assert sign_in(app, "ada", scope="orders:read").body["scope"] == "orders:read"


def test_the_refresh_token_of_a_sign_in_is_exchanged(app: Flask) -> None:
    """There is a row of the session."""
    create_user(app, "ada")
    body = {"refresh_token": sign_in(app, "ada").refresh_token}
    assert app.test_client().post("/auth/refresh", json=body).status_code == 200


def test_the_session_of_a_sign_in_is_listed(app: Flask) -> None:
    """The row is that of the token."""
    create_user(app, "ada")
    session = sign_in(app, "ada")
    (listed,) = session.client.get("/auth/sessions").get_json()["items"]
    assert listed["id"] == session.session_id


def test_the_client_keeps_the_refresh_token_as_a_cookie(app: Flask) -> None:
    """As a browser does."""
    create_user(app, "ada")
    session = sign_in(app, "ada", delivery="cookie")
    response = session.client.post("/auth/refresh", json={})
    assert (session.refresh_token, response.status_code) == (None, 200)


def test_a_refused_sign_in_shows_the_response(app: Flask) -> None:
    """Otherwise the test fails later, with a token that is missing."""
    create_user(app, "ada")
    with pytest.raises(AssertionError, match=r"ada cannot sign in: .*invalid_credentials"):
        sign_in(app, "ada", "another password altogether")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"username": "ada"}, Conflict),
        ({"username": "eve", "password": "short"}, ValidationFailed),
        ({"username": "eve", "roles": ["nobody"]}, ValidationFailed),
        ({"username": "eve", "scopes": ["orders:raed"]}, ValidationFailed),
    ],
    ids=["taken name", "weak password", "unknown role", "unknown scope"],
)
def test_a_user_who_cannot_exist_is_not_created(
    app: Flask, options: dict[str, str], error: type[Exception]
) -> None:
    """The checks are those of `itemsapi users add`."""
    create_user(app, "ada", PASSWORD)
    with pytest.raises(error):
        create_user(app, **options)


def test_a_sign_in_does_not_show_its_tokens(app: Flask) -> None:
    """Pytest prints the `repr` of values in a failed assertion (S-103)."""
    create_user(app, "ada")
    session = sign_in(app, "ada")
    assert session.access_token not in repr(session)


class NoUsers:
    """The users of an application that has none yet."""

    read_only = True

    def find_by_name(self, username: str) -> UserAccount | None:
        """Find nobody."""

    def find_by_id(self, user_id: str) -> UserAccount | None:
        """Find nobody."""

    def scopes(self, user_id: str) -> tuple[str, ...]:
        """Return no scopes."""
        del user_id
        return ()

    def replace_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Replace nothing."""
        del user_id, old, new
        return False


def test_no_user_is_created_in_an_application_with_users_of_its_own(tmp_path: Path) -> None:
    """They would be in a table that nobody reads."""
    app = Flask("shop", static_folder=None)
    AuthLayer(app, users=NoUsers(), settings=testing_settings(tmp_path))
    create_tables(app)
    with pytest.raises(RuntimeError, match="create one in its table"):
        create_user(app, "ada")
    close_database(app)


def test_the_kit_shows_its_public_names_only() -> None:
    """As completion in an editor shows them."""
    assert dir(itemsapi.testing) == sorted(itemsapi.testing.__all__)
