"""The endpoints of roles and scopes, for operators."""

import pytest
from flask.testing import FlaskClient

from itemsapi import Blueprint, Scope, requires
from support.app_factory import Backend
from support.operator_client import operator_client


def put(client: FlaskClient, name: str, *scopes: str) -> int:
    """Put a role; return the status."""
    return client.put(f"/roles/{name}", json={"scopes": list(scopes)}).status_code


def test_the_roles_of_a_new_service_are_listed(admin: FlaskClient) -> None:
    """With their scopes; one role has all."""
    roles = {role["name"]: role for role in admin.get("/roles").get_json()["items"]}
    assert roles["member"]["scopes"] == ["items:read", "items:write"]
    assert [name for name, role in roles.items() if role["everything"]] == ["admin"]


def test_a_role_is_created_then_replaced(admin: FlaskClient) -> None:
    """201, then 200 (RFC 9110 section 9.3.4)."""
    assert put(admin, "helpdesk", "users:read") == 201
    assert put(admin, "helpdesk", "users:read", "audit:read") == 200


def test_a_role_gives_its_scopes_to_its_users(backend: Backend, admin: FlaskClient) -> None:
    """From their next token on."""
    put(admin, "helpdesk", "users:read")
    backend.create_user("ada", "helpdesk")
    assert backend.login("ada")["scope"] == "users:read"


def test_a_role_is_deleted(admin: FlaskClient) -> None:
    """Afterwards it is not found."""
    put(admin, "helpdesk")
    assert admin.delete("/roles/helpdesk").status_code == 204
    assert admin.delete("/roles/helpdesk").status_code == 404


def test_a_role_is_not_deleted_while_a_user_has_it(backend: Backend, admin: FlaskClient) -> None:
    """Give them others first."""
    backend.create_user("ada", "member")
    assert admin.delete("/roles/member").status_code == 409


@pytest.mark.parametrize("name", ["Boss", "1a", "a" * 41, "a%20b", "%00", "%ff", "a;b"])
def test_a_role_is_rejected_when_its_name_is_invalid(shared_admin: FlaskClient, name: str) -> None:
    """It is no server error (S-014)."""
    assert put(shared_admin, name) in {400, 404, 422}


@pytest.mark.parametrize("scope", ["items:fly", "*", "items:read items:write", "ITEMS:READ", ""])
def test_a_role_is_rejected_when_a_scope_is_unknown(shared_admin: FlaskClient, scope: str) -> None:
    """Scopes are compared as a whole (S-085)."""
    assert put(shared_admin, "helpdesk", scope) == 422


def test_a_role_with_all_scopes_cannot_be_created(admin: FlaskClient) -> None:
    """The flag cannot be set by anybody (S-082)."""
    response = admin.put("/roles/boss", json={"scopes": [], "everything": True})
    assert response.status_code == 422


def test_all_scopes_are_listed_with_their_descriptions(make_backend: object) -> None:
    """Those of custom blueprints too."""
    page = Blueprint("orders", __name__, url_prefix="/orders")
    orders = Scope("orders:read", "See your orders")
    page.get("")(requires(orders)(page.response(204)(lambda: None)))
    backend: Backend = make_backend(page)  # type: ignore[operator]  # the fixture's own type is private
    listed = backend.signed_in_client("root", "admin").get("/scopes").get_json()["items"]
    assert {"name": "orders:read", "meaning": "See your orders"} in listed


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("users:read", "GET", "/roles"),
        ("users:read", "GET", "/scopes"),
        ("roles:write", "PUT", "/roles/x"),
        ("roles:write", "DELETE", "/roles/x"),
    ],
)
def test_other_scopes_do_not_give_access(
    backend: Backend, scope: str, method: str, path: str
) -> None:
    """Not even all of them together (S-009)."""
    others = backend.services.issuer.known_scopes() - {scope}
    response = operator_client(backend, *others).open(path, method=method)
    assert (response.status_code, response.get_json()["code"]) == (403, "insufficient_scope")
