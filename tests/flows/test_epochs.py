"""Epochs: access tokens are revoked by epoch, not by time, however often a role changes (S-112)."""

from collections.abc import Callable

import pytest
from sqlalchemy import insert

from itemsapi.accounts.models import COMMAND_LINE, User, UserRole
from itemsapi.clock import new_id
from itemsapi.testing.tokens import decode_part
from support.app_factory import Backend
from support.tokens import (
    is_accepted,
    open_session,
    refresh,
    refreshed,
    revoke_tokens_of_user,
)

Build = Callable[..., Backend]
SCOPES = (["items:read"], ["items:read", "items:write"])


def change_role(backend: Backend, times: int) -> None:
    """Change the scopes of the role "often" several times."""
    for n in range(times):
        backend.services.roles.put(COMMAND_LINE, "often", description="", scopes=SCOPES[n % 2])


def create_users_with_role(backend: Backend, count: int) -> list[str]:
    """Create users with the role "often" who cannot sign in; return their ids."""
    ids, now = [new_id() for _ in range(count)], backend.clock()
    rows = [
        {
            "id": user_id,
            "username": user_id,
            "password_hash": "!",
            "created_at": now,
            "updated_at": now,
        }
        for user_id in ids
    ]
    with backend.services.database.transaction() as tx:
        tx.execute(insert(User), rows)
        tx.execute(insert(UserRole), [{"user_id": user_id, "role": "often"} for user_id in ids])
    return ids


@pytest.mark.parametrize("user_count", [1, 101])
def test_new_tokens_are_valid_at_once_after_many_changes_of_a_role(
    here: Backend, there: Backend, user_count: int
) -> None:
    """S-112: of a user and of an admin, in every process; older tokens are rejected."""
    change_role(here, 1)
    user_id = create_users_with_role(here, user_count)[0]
    admin_id = here.create_user("root", "admin")
    old = open_session(here, user_id).access_token
    change_role(here, 30)
    new = [open_session(here, user).access_token for user in (user_id, admin_id)]
    assert [is_accepted(process, token) for process in (here, there) for token in new] == [True] * 4
    assert [is_accepted(backend, old) for backend in (here, there)] == [False, False]


@pytest.mark.parametrize("user_count", [1, 101])
def test_refreshed_tokens_are_valid_after_a_change_of_a_role(
    here: Backend, there: Backend, user_count: int
) -> None:
    """S-183: they have the new scopes of the role."""
    change_role(here, 1)
    tokens = open_session(here, create_users_with_role(here, user_count)[0])
    change_role(here, 2)
    renewal = refreshed(here, tokens.refresh_token)
    assert renewal["scope"] == "items:read items:write"
    assert [is_accepted(backend, renewal["access_token"]) for backend in (here, there)] == [
        True,
        True,
    ]


def test_iat_is_the_current_time_however_often_a_role_changes(here: Backend) -> None:
    """S-112: tokens are not dated ahead."""
    change_role(here, 1)
    user_id = create_users_with_role(here, 1)[0]
    change_role(here, 50)
    claims = decode_part(open_session(here, user_id).access_token, 1)
    assert claims["iat"] == int(here.clock().timestamp())


def test_a_change_of_a_role_revokes_only_the_tokens_of_its_users(here: Backend) -> None:
    """S-183: other users do not have to refresh."""
    change_role(here, 1)
    create_users_with_role(here, 1)
    other = open_session(here, here.create_user("bob", "member")).access_token
    change_role(here, 4)
    assert is_accepted(here, other)


@pytest.mark.parametrize("seconds", [-3600, -5, 5, 3600])
def test_a_revocation_does_not_depend_on_clocks(
    here: Backend, there: Backend, seconds: float
) -> None:
    """S-112, R-10: the clock changes between the token and the revocation."""
    here.create_user("ada", "member")
    old = open_session(here, here.services.users.get_by_name("ada").id)
    here.clock.advance(seconds=seconds)
    revoke_tokens_of_user(here, "ada")
    here.clock.advance(seconds=-seconds)
    fresh = refreshed(there, old.refresh_token)["access_token"]
    assert [is_accepted(there, old.access_token), is_accepted(there, fresh)] == [False, True]


def test_a_role_does_not_give_scopes_unknown_to_the_application(here: Backend) -> None:
    """S-084: such as one that an earlier blueprint declared."""
    with here.services.database.transaction() as tx:
        statement = "INSERT INTO itemsapi_role_scope (role, scope) VALUES ('member', 'ghosts:see')"
        tx.connection().exec_driver_sql(statement)
    tokens = open_session(here, here.create_user("ada", "member"))
    assert tokens.scope == "items:read items:write"
    assert refresh(here, tokens.refresh_token).json["scope"] == "items:read items:write"
