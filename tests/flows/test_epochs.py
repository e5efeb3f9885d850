"""Roles that change often move nobody's clock: what is recalled is an epoch (S-112)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import insert

from itemsapi.accounts.models import User, UserRole
from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.clock import new_id
from support.app_factory import Backend
from support.forged_tokens import decode_part
from support.tokens import (
    is_accepted,
    look,
    open_session,
    refresh,
    refreshed,
    revoke_tokens_of_user,
)

Build = Callable[..., Backend]
SCOPES = (["items:read"], ["items:read", "items:write"])


@pytest.fixture
def here(make_backend: Build) -> Backend:
    """A process that asks the feed at every request."""
    return make_backend(look, revocation_lag=timedelta(0))


@pytest.fixture
def there(make_backend: Build, here: Backend) -> Backend:
    """Another process."""
    return make_backend(look, revocation_lag=timedelta(0))


def change_role(backend: Backend, times: int) -> None:
    """Give the role "often" other scopes, time after time."""
    for turn in range(times):
        backend.services.roles.put(COMMAND_LINE, "often", description="", scopes=SCOPES[turn % 2])


def crowd(backend: Backend, count: int) -> list[str]:
    """Make that many users with the role "often", who cannot sign in; return their ids."""
    ids, now = [new_id() for _ in range(count)], backend.clock()
    rows = [
        {"id": one, "username": one, "password_hash": "!", "created_at": now, "updated_at": now}
        for one in ids
    ]
    with backend.services.database.transaction() as tx:
        tx.execute(insert(User), rows)
        tx.execute(insert(UserRole), [{"user_id": one, "role": "often"} for one in ids])
    return ids


@pytest.mark.parametrize("holders", [1, 101])
def test_fresh_tokens_are_good_at_once_after_many_changes_of_a_role(
    here: Backend, there: Backend, holders: int
) -> None:
    """S-112: of a holder and of an admin, in every process; older ones are refused."""
    change_role(here, 1)
    user_id = crowd(here, holders)[0]
    admin_id = here.create_user("root", "admin")
    old = open_session(here, user_id).access_token
    change_role(here, 30)
    fresh = [open_session(here, one).access_token for one in (user_id, admin_id)]
    assert [is_accepted(backend, one) for backend in (here, there) for one in fresh] == [True] * 4
    assert [is_accepted(backend, old) for backend in (here, there)] == [False, False]


@pytest.mark.parametrize("holders", [1, 101])
def test_refreshed_tokens_are_good_after_a_change_of_a_role(
    here: Backend, there: Backend, holders: int
) -> None:
    """S-183: with what the role gives by now."""
    change_role(here, 1)
    tokens = open_session(here, crowd(here, holders)[0])
    change_role(here, 2)
    renewal = refreshed(here, tokens.refresh_token)
    assert renewal["scope"] == "items:read items:write"
    assert [is_accepted(backend, renewal["access_token"]) for backend in (here, there)] == [
        True,
        True,
    ]


def test_no_token_is_dated_ahead_however_often_a_role_changes(here: Backend) -> None:
    """S-112: `iat` is the time, and nothing else."""
    change_role(here, 1)
    user_id = crowd(here, 1)[0]
    change_role(here, 50)
    claims = decode_part(open_session(here, user_id).access_token, 1)
    assert claims["iat"] == int(here.clock().timestamp())


def test_a_change_of_a_few_leaves_the_others_tokens_alone(here: Backend) -> None:
    """S-183: only those who have the role refresh."""
    change_role(here, 1)
    crowd(here, 1)
    other = open_session(here, here.create_user("bob", "member")).access_token
    change_role(here, 4)
    assert is_accepted(here, other)


@pytest.mark.parametrize("seconds", [-3600, -5, 5, 3600])
def test_no_clock_decides_about_a_recall(here: Backend, there: Backend, seconds: float) -> None:
    """S-112, R-10: the clock is set between the token and the recall."""
    here.create_user("ada", "member")
    old = open_session(here, here.services.users.get_by_name("ada").id)
    here.clock.advance(seconds=seconds)
    revoke_tokens_of_user(here, "ada")
    here.clock.advance(seconds=-seconds)
    fresh = refreshed(there, old.refresh_token)["access_token"]
    assert [is_accepted(there, old.access_token), is_accepted(there, fresh)] == [False, True]


def test_a_role_gives_no_scope_that_the_application_does_not_know(here: Backend) -> None:
    """S-084: one that a page of yesterday declared, and that somebody may declare tomorrow."""
    with here.services.database.transaction() as tx:
        statement = "INSERT INTO itemsapi_role_scope (role, scope) VALUES ('member', 'ghosts:see')"
        tx.connection().exec_driver_sql(statement)
    tokens = open_session(here, here.create_user("ada", "member"))
    assert tokens.scope == "items:read items:write"
    assert refresh(here, tokens.refresh_token).json["scope"] == "items:read items:write"
