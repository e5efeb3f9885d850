"""The endpoint of the signed-in user."""

from flask.testing import FlaskClient

from support.app_factory import Backend


def test_the_caller_is_shown(backend: Backend, ada: FlaskClient) -> None:
    """With stored data, and data from the token."""
    me = ada.get("/me").get_json()
    assert me["id"] == backend.services.users.get_by_name("ada").id
    assert (me["username"], me["roles"], me["scopes"]) == (
        "ada",
        ["member"],
        ["items:read", "items:write"],
    )


def test_no_secret_is_shown(ada: FlaskClient) -> None:
    """Only the fields of the schema (S-083)."""
    assert ada.get("/me").get_json().keys() == {
        "id", "username", "roles", "scopes", "session_id", "auth_time", "created_at",
    }  # fmt: skip


def test_the_scopes_of_the_token_are_shown(backend: Backend) -> None:
    """A narrowed token permits less than the user may do."""
    client = backend.signed_in_client("ada", "member", scope="items:read")
    assert client.get("/me").get_json()["scopes"] == ["items:read"]
