"""Attacks by operators: going further than one was let (S-084, API5)."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.problems import Forbidden
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD, create_role, events, operator_client, patch_user
from support.operators import FakeOperator

HELPDESK = ("users:read", "users:write", "roles:write", "items:read", "items:write")


@pytest.fixture
def helpdesk(backend: Backend) -> FlaskClient:
    """An operator who looks after members and their roles, and may not do everything."""
    return operator_client(backend, *HELPDESK)


@pytest.fixture
def root(backend: Backend) -> str:
    """The id of an admin."""
    return backend.create_user("root", "admin")


def me(client: FlaskClient) -> str:
    """Return one's own id."""
    return str(client.get("/me").get_json()["id"])


@pytest.mark.parametrize("beyond", ["audit:read", "items:admin", "sessions:write", "metrics:read"])
def test_nobody_gives_a_role_that_goes_further(
    backend: Backend, helpdesk: FlaskClient, beyond: str
) -> None:
    """Neither to others nor to themselves, not even who may write roles."""
    name = create_role(backend, beyond)
    member = backend.create_user("ada", "member")
    assert patch_user(helpdesk, member, roles=[name]).status_code == 403
    assert patch_user(helpdesk, me(helpdesk), roles=[name]).status_code == 403


def test_nobody_gives_everything(backend: Backend, helpdesk: FlaskClient) -> None:
    """Who has all scopes by name does not have those to come."""
    every = operator_client(backend, *backend.services.issuer.known_scopes(), name="every")
    for client in (helpdesk, every):
        assert patch_user(client, me(client), roles=["admin"]).status_code == 403


def test_nobody_creates_a_user_who_goes_further(helpdesk: FlaskClient) -> None:
    """An accomplice would do as well."""
    wish = {"username": "eve", "password": NEW_PASSWORD, "roles": ["admin"]}
    assert helpdesk.post("/users", json=wish).status_code == 403


def test_nobody_takes_over_who_goes_further(helpdesk: FlaskClient, root: str) -> None:
    """Setting the password of an admin is becoming one."""
    answer = helpdesk.put(f"/users/{root}/password", json={"password": NEW_PASSWORD})
    assert answer.status_code == 403


@pytest.mark.parametrize("wish", [{"disabled": True}, {"roles": []}, {"roles": ["member"]}, {}])
def test_nobody_changes_who_goes_further(
    backend: Backend, helpdesk: FlaskClient, root: str, wish: dict[str, Any]
) -> None:
    """Neither disabled nor stripped (with another admin left)."""
    backend.create_user("root2", "admin")
    assert patch_user(helpdesk, root, **wish).status_code == 403


def test_who_reaches_everybodys_items_goes_further(backend: Backend, helpdesk: FlaskClient) -> None:
    """`items:admin` beside the same scopes is more."""
    boss = backend.create_user("boss", create_role(backend, *HELPDESK, "items:admin"))
    answer = helpdesk.put(f"/users/{boss}/password", json={"password": NEW_PASSWORD})
    assert answer.status_code == 403


@pytest.mark.parametrize("beyond", ["audit:read", "items:admin"])
def test_nobody_puts_a_scope_into_a_role_that_they_lack(helpdesk: FlaskClient, beyond: str) -> None:
    """Neither into a new role nor into one that they have."""
    for name in ("fresh", "member"):
        wish = {"scopes": ["items:read", beyond]}
        assert helpdesk.put(f"/roles/{name}", json=wish).status_code == 403


def test_nobody_empties_a_role_that_goes_further(backend: Backend, helpdesk: FlaskClient) -> None:
    """Nor deletes it: that would disarm those who watch."""
    name = create_role(backend, "audit:read")
    assert helpdesk.put(f"/roles/{name}", json={"scopes": []}).status_code == 403
    assert helpdesk.delete(f"/roles/{name}").status_code == 403


def test_the_role_that_gives_everything_cannot_be_touched(helpdesk: FlaskClient) -> None:
    """By nobody."""
    assert helpdesk.put("/roles/admin", json={"scopes": []}).status_code == 409
    assert helpdesk.delete("/roles/admin").status_code == 409


def test_a_narrowed_token_of_an_admin_gives_no_more_than_it_holds(backend: Backend) -> None:
    """Who steals it, or whom it was lent to, does not get the rest."""
    client = backend.signed_in_client("root", "admin", scope="users:write")
    assert patch_user(client, backend.create_user("ada"), roles=["admin"]).status_code == 403


def test_a_narrowed_token_of_a_limited_operator_gives_no_more_than_it_holds(
    backend: Backend,
) -> None:
    """S-065, S-084: what the operator's roles give beyond the token does not count."""
    name, given = create_role(backend, *HELPDESK, "items:read"), create_role(backend, "items:read")
    backend.create_user("olga", name)
    narrowed, whole = (
        backend.bearer_client(backend.login("olga", **wish)["access_token"])
        for wish in ({"scope": "users:write"}, {})
    )
    ada = backend.create_user("ada")
    assert patch_user(narrowed, ada, roles=[given]).status_code == 403
    assert patch_user(whole, ada, roles=[given]).status_code == 200


def test_a_token_from_before_a_demotion_gives_nothing(backend: Backend) -> None:
    """Roles are read anew with the change, however young the token is (S-183)."""
    olga = backend.create_user("olga", create_role(backend, *HELPDESK))
    ada = backend.create_user("ada", "member")
    actor = FakeOperator(olga, frozenset(HELPDESK))
    backend.services.users.change(COMMAND_LINE, olga, None, roles=[])
    with pytest.raises(Forbidden):
        backend.services.users.change(actor, ada, None, roles=["reader"])


@pytest.mark.parametrize("user_id", ["01960a3b-9a10-7f02-8a55-6b1f0c9d2e10", "nobody"])
def test_who_is_nobody_changes_nothing(backend: Backend, user_id: str) -> None:
    """A user deleted since their token was made."""
    actor = FakeOperator(user_id, backend.services.issuer.known_scopes())
    with pytest.raises(Forbidden):
        backend.services.users.create(actor, "eve", NEW_PASSWORD)


def test_a_scope_of_a_page_that_is_away_is_not_given_either(backend: Backend) -> None:
    """It would count again when the page is back."""
    backend.services.roles.put(COMMAND_LINE, "orders", description="", scopes=[])
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(
            "INSERT INTO itemsapi_role_scope (role, scope) VALUES ('orders', 'orders:admin')"
        )
    client = operator_client(backend, *backend.services.issuer.known_scopes())
    assert patch_user(client, me(client), roles=["orders"]).status_code == 403


def test_what_was_tried_is_written_down(backend: Backend, helpdesk: FlaskClient, root: str) -> None:
    """Who, at whom, and why not (S-149); the change itself is undone."""
    patch_user(helpdesk, root, disabled=True)
    (event,) = events(backend, "authz_fail", user_id=root, actor_id=me(helpdesk))
    assert "permissions that you do not have" in event["details"]


def test_within_their_reach_operators_work_freely(backend: Backend, helpdesk: FlaskClient) -> None:
    """What is not more than they have, they may give."""
    ada = backend.create_user("ada")
    assert patch_user(helpdesk, ada, roles=["member"]).status_code == 200
    assert helpdesk.put("/roles/x", json={"scopes": ["users:read"]}).status_code == 201


def test_an_admin_makes_an_admin(backend: Backend) -> None:
    """Somebody has to."""
    client = backend.signed_in_client("root", "admin")
    assert patch_user(client, backend.create_user("ada"), roles=["admin"]).status_code == 200
