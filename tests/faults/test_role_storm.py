"""A role that changes all the time: a thousand changes in ten seconds (S-112).

`ITEMSAPI_TEST_FULL=1 pytest -rP tests/faults/test_role_storm.py` makes all of them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import insert

from faults.conftest import Deployment
from itemsapi.accounts.models import User, UserRole
from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.clock import new_id
from support.rounds import rounds
from support.service import print_figures, wait_until
from support.tokens import open_session

WORKERS = 2
CROWD = 1000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def deployment(
    request: pytest.FixtureRequest, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[Deployment]:
    """The service with two workers, on each database in turn."""
    with deploy(request.param, workers=WORKERS) as opened:
        opened.backend.create_user("root", "admin")
        yield opened


def held_by(deployment: Deployment, count: int) -> tuple[str, str]:
    """Make a role that so many users have; return its name and the id of one of them."""
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


def storm(deployment: Deployment, role: str, times: int) -> float:
    """Change a role so many times; return the seconds it took."""
    begun_at = time.monotonic()
    for turn in range(times):
        scopes = [["items:read"], ["items:read", "items:write"]][turn % 2]
        deployment.backend.services.roles.put(COMMAND_LINE, role, description="", scopes=scopes)
    return time.monotonic() - begun_at


@pytest.mark.parametrize("holders", [1, CROWD])
def test_fresh_tokens_are_good_at_once_and_old_ones_die_within_the_bound(
    deployment: Deployment, holders: int
) -> None:
    """S-112: of a holder and of the admin, in every worker."""
    role, user_id = held_by(deployment, holders)
    admin_id = deployment.backend.services.users.get_by_name("root").id
    old = open_session(deployment.backend, user_id)
    each = deployment.service.connect_to_each_worker().values()
    assert {line.check_token(old.access_token).status for line in each} == {204}
    seconds = storm(deployment, role, rounds(1000, 60))
    changed = time.monotonic()
    fresh = [open_session(deployment.backend, one).access_token for one in (user_id, admin_id)]
    assert {line.check_token(token).status for line in each for token in fresh} == {204}
    for line in each:
        wait_until(lambda line=line: line.check_token(old.access_token).status == 401, 5)  # type: ignore[misc]
    dead = time.monotonic() - changed
    print_figures(
        "role storm", holders=holders, changes=rounds(1000, 60), seconds=seconds, old_dead=dead
    )
    assert next(iter(each)).refresh(old.refresh_token).status == 200
