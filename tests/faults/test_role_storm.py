"""A role that changes all the time: a thousand changes in ten seconds (S-112).

`ITEMSAPI_TEST_FULL=1 pytest -rP tests/faults/test_role_storm.py` makes all of them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import insert

from faults.conftest import Deployment
from itemsapi.accounts.models import COMMAND_LINE, User, UserRole
from itemsapi.clock import new_id
from support.rounds import rounds
from support.service import print_figures, wait_until
from support.tokens import open_session

WORKERS = 2
MANY_USERS = 1000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def deployment(
    request: pytest.FixtureRequest, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[Deployment]:
    """The service with two workers, on each database in turn."""
    with deploy(request.param, workers=WORKERS) as opened:
        opened.backend.create_user("root", "admin")
        yield opened


def create_role_for(deployment: Deployment, count: int) -> tuple[str, str]:
    """Create a role that `count` users have; return its name and the id of one of them."""
    name, now, ids = f"often-{count}", deployment.backend.clock(), [new_id() for _ in range(count)]
    deployment.backend.services.roles.put(COMMAND_LINE, name, description="", scopes=[])
    users = [
        {"id": one, "username": one, "password_hash": "!", "created_at": now, "updated_at": now}
        for one in ids
    ]
    with deployment.backend.services.database.transaction() as tx:
        tx.execute(insert(User), users)
        tx.execute(insert(UserRole), [{"user_id": one, "role": name} for one in ids])
    return name, ids[0]


def change_repeatedly(deployment: Deployment, role: str, times: int) -> float:
    """Change a role many times; return the seconds it took."""
    started = time.monotonic()
    for number in range(times):
        scopes = [["items:read"], ["items:read", "items:write"]][number % 2]
        deployment.backend.services.roles.put(COMMAND_LINE, role, description="", scopes=scopes)
    return time.monotonic() - started


@pytest.mark.parametrize("users_with_role", [1, MANY_USERS])
def test_new_tokens_are_accepted_at_once_and_old_ones_rejected_in_time(
    deployment: Deployment, users_with_role: int
) -> None:
    """S-112: for a user with the role and for the admin, in every worker."""
    role, user_id = create_role_for(deployment, users_with_role)
    admin_id = deployment.backend.services.users.get_by_name("root").id
    old_session = open_session(deployment.backend, user_id)
    connections = deployment.service.connect_to_each_worker().values()
    assert {line.check_token(old_session.access_token).status for line in connections} == {204}
    seconds = change_repeatedly(deployment, role, rounds(1000, 60))
    changed = time.monotonic()
    new_tokens = [open_session(deployment.backend, one).access_token for one in (user_id, admin_id)]
    assert {line.check_token(token).status for line in connections for token in new_tokens} == {204}
    for line in connections:
        wait_until(lambda line=line: line.check_token(old_session.access_token).status == 401, 5)  # type: ignore[misc]
    rejected_after = time.monotonic() - changed
    print_figures(
        "role storm",
        users_with_role=users_with_role,
        changes=rounds(1000, 60),
        seconds=seconds,
        old_dead=rejected_after,
    )
    assert next(iter(connections)).refresh(old_session.refresh_token).status == 200
