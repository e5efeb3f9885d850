"""Concurrent changes of users: what may happen once happens once, on both databases (S-196)."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.problems import Problem
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD
from support.operators import FakeOperator
from support.race import race


def count_outcomes(*jobs: Callable[[], object]) -> Counter[str]:
    """Run all jobs at once; count "done" for true results, "nothing", and problem codes."""
    outcomes = race(*jobs, catch=Problem)
    return Counter(
        outcome.code if isinstance(outcome, Problem) else "done" if outcome else "nothing"
        for outcome in outcomes
    )


def test_one_admin_is_left_when_all_are_disabled_at_once(backend: Backend) -> None:
    """One of sixteen concurrent changes fails."""
    users = backend.services.users
    admins = [backend.create_user(f"root{n}", "admin") for n in range(16)]

    def disable(user_id: str) -> Callable[[], object]:
        return lambda: users.change(COMMAND_LINE, user_id, None, disabled=True)

    assert count_outcomes(*map(disable, admins)) == {"done": 15, "conflict": 1}


def test_one_of_two_admins_wins_when_each_disables_the_other(backend: Backend) -> None:
    """The one who was disabled first cannot disable the other."""
    users, scopes = backend.services.users, backend.services.issuer.known_scopes()
    a, b = backend.create_user("a", "admin"), backend.create_user("b", "admin")
    outcomes = count_outcomes(
        lambda: users.change(FakeOperator(a, scopes), b, None, disabled=True),
        lambda: users.change(FakeOperator(b, scopes), a, None, disabled=True),
    )
    assert outcomes == {"done": 1, "forbidden": 1}


def test_a_user_name_is_taken_once_when_sixteen_create_it_at_once(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others get a conflict."""
    queue = HashingQueue(max_running=1, max_waiting=16)
    monkeypatch.setattr(backend.services.issuer.password_service, "_queue", queue)
    create = partial(backend.services.users.create, COMMAND_LINE, "ada", NEW_PASSWORD)
    assert count_outcomes(*[create] * 16) == {"done": 1, "conflict": 15}


def test_one_of_sixteen_concurrent_changes_of_a_version_succeeds(backend: Backend) -> None:
    """The others fail their precondition (S-153)."""
    users, ada = backend.services.users, backend.create_user("ada", "member")
    outcomes = count_outcomes(*[lambda: users.change(COMMAND_LINE, ada, 1, disabled=True)] * 16)
    assert outcomes == {"done": 1, "precondition_failed": 15}


def test_a_role_cannot_be_given_and_deleted_at_once(backend: Backend) -> None:
    """No user has a role that does not exist."""
    services, ada = backend.services, backend.create_user("ada")
    services.roles.put(COMMAND_LINE, "temp", description="", scopes=["items:read"])
    count_outcomes(
        lambda: services.roles.delete(COMMAND_LINE, "temp"),
        lambda: services.users.change(COMMAND_LINE, ada, None, roles=["temp"]),
    )
    existing = {role.name for role in services.roles.all()}
    assert set(services.users.get(ada).roles) <= existing
