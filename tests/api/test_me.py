"""The page of one's own account."""

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """A member who is signed in."""
    return backend.signed_in_client("ada", "member")


def test_it_shows_who_asks(backend: Backend, ada: FlaskClient) -> None:
    """What is stored, and what the token says."""
    me = ada.get("/me").get_json()
    assert me["id"] == backend.services.users.get_by_name("ada").id
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


def test_it_shows_the_scopes_of_the_token(backend: Backend) -> None:
    """A narrowed token does less than the user may."""
    client = backend.signed_in_client("ada", "member", scope="items:read")
    assert client.get("/me").get_json()["scopes"] == ["items:read"]
