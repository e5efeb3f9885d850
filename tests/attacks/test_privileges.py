"""Operators who try to exceed their own rights (S-084, API5)."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.problems import Forbidden
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD, create_role, events, operator_client, patch_user
from support.operators import FakeOperator

HELPDESK = ("users:read", "users:write", "roles:write", "items:read", "items:write")


@pytest.fixture
def helpdesk(backend: Backend) -> FlaskClient:
    """The client of an operator who manages members and their roles, and is no admin."""
    return operator_client(backend, *HELPDESK)


@pytest.fixture
def root(backend: Backend) -> str:
    """The id of an admin."""
    return backend.create_user("root", "admin")


def own_id(client: FlaskClient) -> str:
    """Return the id of the user of a client."""
    return str(client.get("/me").get_json()["id"])


@pytest.mark.parametrize("beyond", ["audit:read", "items:admin", "sessions:write", "metrics:read"])
def test_an_operator_cannot_grant_a_role_with_more_scopes(
    backend: Backend, helpdesk: FlaskClient, beyond: str
) -> None:
    """Neither to others nor to themselves, even with `roles:write`."""
    name = create_role(backend, beyond)
    member = backend.create_user("ada", "member")
    assert patch_user(helpdesk, member, roles=[name]).status_code == 403
    assert patch_user(helpdesk, own_id(helpdesk), roles=[name]).status_code == 403


def test_an_operator_with_all_scopes_cannot_grant_the_admin_role(
    backend: Backend, helpdesk: FlaskClient
) -> None:
    """It includes scopes that do not exist yet."""
    every = operator_client(backend, *backend.services.issuer.known_scopes(), name="every")
    for client in (helpdesk, every):
        assert patch_user(client, own_id(client), roles=["admin"]).status_code == 403


def test_an_operator_cannot_create_a_user_with_more_scopes(helpdesk: FlaskClient) -> None:
    """An accomplice would be as useful."""
    payload = {"username": "eve", "password": NEW_PASSWORD, "roles": ["admin"]}
    assert helpdesk.post("/users", json=payload).status_code == 403


def test_an_operator_cannot_set_the_password_of_a_user_with_more_scopes(
    helpdesk: FlaskClient, root: str
) -> None:
    """Otherwise they could sign in as an admin."""
    response = helpdesk.put(f"/users/{root}/password", json={"password": NEW_PASSWORD})
    assert response.status_code == 403


@pytest.mark.parametrize("payload", [{"disabled": True}, {"roles": []}, {"roles": ["member"]}, {}])
def test_an_operator_cannot_change_a_user_with_more_scopes(
    backend: Backend, helpdesk: FlaskClient, root: str, payload: dict[str, Any]
) -> None:
    """Neither disable them nor remove roles (with another admin left)."""
    backend.create_user("root2", "admin")
    assert patch_user(helpdesk, root, **payload).status_code == 403


def test_items_admin_counts_as_more_scopes(backend: Backend, helpdesk: FlaskClient) -> None:
    """Even beside otherwise equal scopes."""
    boss = backend.create_user("boss", create_role(backend, *HELPDESK, "items:admin"))
    response = helpdesk.put(f"/users/{boss}/password", json={"password": NEW_PASSWORD})
    assert response.status_code == 403


@pytest.mark.parametrize("beyond", ["audit:read", "items:admin"])
def test_an_operator_cannot_put_a_missing_scope_into_a_role(
    helpdesk: FlaskClient, beyond: str
) -> None:
    """Neither into a new role nor into one of their own."""
    for name in ("fresh", "member"):
        payload = {"scopes": ["items:read", beyond]}
        assert helpdesk.put(f"/roles/{name}", json=payload).status_code == 403


def test_an_operator_cannot_empty_a_role_with_more_scopes(
    backend: Backend, helpdesk: FlaskClient
) -> None:
    """Nor delete it."""
    name = create_role(backend, "audit:read")
    assert helpdesk.put(f"/roles/{name}", json={"scopes": []}).status_code == 403
    assert helpdesk.delete(f"/roles/{name}").status_code == 403


def test_the_admin_role_cannot_be_changed(helpdesk: FlaskClient) -> None:
    """By no user."""
    assert helpdesk.put("/roles/admin", json={"scopes": []}).status_code == 409
    assert helpdesk.delete("/roles/admin").status_code == 409


def test_a_narrowed_token_of_an_admin_grants_no_more_than_its_scopes(backend: Backend) -> None:
    """A thief or a delegate gets no further scopes."""
    client = backend.signed_in_client("root", "admin", scope="users:write")
    assert patch_user(client, backend.create_user("ada"), roles=["admin"]).status_code == 403


def test_a_narrowed_token_of_an_operator_grants_no_more_than_its_scopes(
    backend: Backend,
) -> None:
    """S-065, S-084: the operator's other scopes do not count."""
    name, role = create_role(backend, *HELPDESK, "items:read"), create_role(backend, "items:read")
    backend.create_user("olga", name)
    narrowed, whole = (
        backend.bearer_client(backend.login("olga", **payload)["access_token"])
        for payload in ({"scope": "users:write"}, {})
    )
    ada = backend.create_user("ada")
    assert patch_user(narrowed, ada, roles=[role]).status_code == 403
    assert patch_user(whole, ada, roles=[role]).status_code == 200


def test_a_token_from_before_a_demotion_grants_nothing(backend: Backend) -> None:
    """Roles are loaded again in the transaction of the change (S-183)."""
    olga = backend.create_user("olga", create_role(backend, *HELPDESK))
    ada = backend.create_user("ada", "member")
    actor = FakeOperator(olga, frozenset(HELPDESK))
    backend.services.users.change(COMMAND_LINE, olga, None, roles=[])
    with pytest.raises(Forbidden):
        backend.services.users.change(actor, ada, None, roles=["reader"])


@pytest.mark.parametrize("user_id", ["01960a3b-9a10-7f02-8a55-6b1f0c9d2e10", "nobody"])
def test_a_deleted_user_changes_nothing(backend: Backend, user_id: str) -> None:
    """Deleted after their token was created."""
    actor = FakeOperator(user_id, backend.services.issuer.known_scopes())
    with pytest.raises(Forbidden):
        backend.services.users.create(actor, "eve", NEW_PASSWORD)


def test_a_scope_of_a_missing_plugin_cannot_be_granted(backend: Backend) -> None:
    """It would be effective when the plugin is back."""
    backend.services.roles.put(COMMAND_LINE, "orders", description="", scopes=[])
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(
            "INSERT INTO itemsapi_role_scope (role, scope) VALUES ('orders', 'orders:admin')"
        )
    client = operator_client(backend, *backend.services.issuer.known_scopes())
    assert patch_user(client, own_id(client), roles=["orders"]).status_code == 403


def test_a_rejected_change_is_audited(backend: Backend, helpdesk: FlaskClient, root: str) -> None:
    """Who, to whom, and why not (S-149); the change itself is rolled back."""
    patch_user(helpdesk, root, disabled=True)
    (event,) = events(backend, "authz_fail", user_id=root, caller_id=own_id(helpdesk))
    assert "permissions that you do not have" in event["details"]


def test_an_operator_can_grant_roles_within_their_own_scopes(
    backend: Backend, helpdesk: FlaskClient
) -> None:
    """Roles with no more scopes than their own."""
    ada = backend.create_user("ada")
    assert patch_user(helpdesk, ada, roles=["member"]).status_code == 200
    assert helpdesk.put("/roles/x", json={"scopes": ["users:read"]}).status_code == 201


def test_an_admin_can_create_an_admin(backend: Backend) -> None:
    """An admin has all scopes."""
    client = backend.signed_in_client("root", "admin")
    assert patch_user(client, backend.create_user("ada"), roles=["admin"]).status_code == 200
