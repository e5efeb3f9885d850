"""The page of roles and scopes, for operators."""

import pytest
from flask.testing import FlaskClient

from itemsapi import Blueprint, Scope, requires
from support.app_factory import Backend
from support.operator_client import operator_client


@pytest.fixture
def admin(backend: Backend) -> FlaskClient:
    """Somebody who may do everything."""
    return backend.signed_in_client("root", "admin")


def put(client: FlaskClient, name: str, *scopes: str) -> int:
    """Put a role; return the status."""
    return client.put(f"/roles/{name}", json={"scopes": list(scopes)}).status_code


def test_the_roles_of_a_new_service_are_listed(admin: FlaskClient) -> None:
    """With their scopes; one gives everything."""
    roles = {role["name"]: role for role in admin.get("/roles").get_json()["items"]}
    assert roles["member"]["scopes"] == ["items:read", "items:write"]
    assert [name for name, role in roles.items() if role["everything"]] == ["admin"]


def test_a_role_is_created_then_replaced(admin: FlaskClient) -> None:
    """201, then 200 (RFC 9110 section 9.3.4)."""
    assert put(admin, "helpdesk", "users:read") == 201
    assert put(admin, "helpdesk", "users:read", "audit:read") == 200


def test_a_role_gives_its_scopes_to_who_has_it(backend: Backend, admin: FlaskClient) -> None:
    """From the next token on."""
    put(admin, "helpdesk", "users:read")
    backend.create_user("ada", "helpdesk")
    assert backend.login("ada")["scope"] == "users:read"


def test_a_role_is_deleted(admin: FlaskClient) -> None:
    """And then it is not there."""
    put(admin, "helpdesk")
    assert admin.delete("/roles/helpdesk").status_code == 204
    assert admin.delete("/roles/helpdesk").status_code == 404


def test_a_role_that_somebody_has_is_not_deleted(backend: Backend, admin: FlaskClient) -> None:
    """Give them others first."""
    backend.create_user("ada", "member")
    assert admin.delete("/roles/member").status_code == 409


@pytest.mark.parametrize("name", ["Boss", "1a", "a" * 41, "a%20b", "%00", "%ff", "a;b"])
def test_a_role_has_a_plain_name(admin: FlaskClient, name: str) -> None:
    """Refused, and no server error (S-014)."""
    assert put(admin, name) in {400, 404, 422}


@pytest.mark.parametrize("scope", ["items:fly", "*", "items:read items:write", "ITEMS:READ", ""])
def test_a_scope_must_be_known(admin: FlaskClient, scope: str) -> None:
    """Compared whole (S-085)."""
    assert put(admin, "helpdesk", scope) == 422


def test_no_role_is_made_to_give_everything(admin: FlaskClient) -> None:
    """It cannot be asked for, not even by who has it (S-082)."""
    answer = admin.put("/roles/boss", json={"scopes": [], "everything": True})
    assert answer.status_code == 422


def test_all_scopes_are_listed_with_their_meaning(make_backend: object) -> None:
    """Those of a page of one's own too."""
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
def test_another_scope_does_not_open_it(
    backend: Backend, scope: str, method: str, path: str
) -> None:
    """All the others together neither (S-009)."""
    others = backend.services.issuer.known_scopes() - {scope}
    answer = operator_client(backend, *others).open(path, method=method)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "insufficient_scope")
