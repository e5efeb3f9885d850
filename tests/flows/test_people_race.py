"""Many at once: what may happen once happens once, on both databases (S-196)."""

import time
from collections import Counter
from collections.abc import Callable

from support.race import race

from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.problems import Busy, Problem
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD
from support.operators import FakeOperator


def outcomes_of(*jobs: Callable[[], object]) -> Counter[str]:
    """Run all jobs at once; count "done" for true results, "nothing", and problem codes."""
    outcomes = race(*jobs, catch=Problem)
    return Counter(
        one.code if isinstance(one, Problem) else "done" if one else "nothing" for one in outcomes
    )


def test_one_admin_is_left_when_all_are_disabled_at_once(backend: Backend) -> None:
    """Sixteen tries at sixteen admins: the last one stays."""
    users = backend.services.users
    admins = [backend.create_user(f"root{n}", "admin") for n in range(16)]

    def disabling(user_id: str) -> Callable[[], object]:
        return lambda: users.change(COMMAND_LINE, user_id, None, disabled=True)

    assert outcomes_of(*map(disabling, admins)) == {"done": 15, "conflict": 1}


def test_one_of_two_admins_wins_when_each_disables_the_other(backend: Backend) -> None:
    """Who was disabled a moment before can disable nobody."""
    users, scopes = backend.services.users, backend.services.issuer.known_scopes()
    a, b = backend.create_user("a", "admin"), backend.create_user("b", "admin")
    outcomes = outcomes_of(
        lambda: users.change(FakeOperator(a, scopes), b, None, disabled=True),
        lambda: users.change(FakeOperator(b, scopes), a, None, disabled=True),
    )
    assert outcomes == {"done": 1, "forbidden": 1}


def test_a_name_is_given_once(backend: Backend) -> None:
    """Sixteen wish for it."""

    def enrol() -> object:
        try:
            return backend.services.users.create(COMMAND_LINE, "ada", NEW_PASSWORD)
        except Busy:
            time.sleep(0.02)
            return enrol()

    assert outcomes_of(*[enrol] * 16) == {"done": 1, "conflict": 15}


def test_a_version_is_changed_once(backend: Backend) -> None:
    """Of sixteen who read the same version one changes it (S-153)."""
    users, ada = backend.services.users, backend.create_user("ada", "member")
    outcomes = outcomes_of(*[lambda: users.change(COMMAND_LINE, ada, 1, disabled=True)] * 16)
    assert outcomes == {"done": 1, "precondition_failed": 15}


def test_a_role_is_given_or_deleted_not_both(backend: Backend) -> None:
    """Nobody ends up with a role that is not there."""
    services, ada = backend.services, backend.create_user("ada")
    services.roles.put(COMMAND_LINE, "temp", description="", scopes=["items:read"])
    outcomes_of(
        lambda: services.roles.delete(COMMAND_LINE, "temp"),
        lambda: services.users.change(COMMAND_LINE, ada, None, roles=["temp"]),
    )
    left = {role.name for role in services.roles.all()}
    assert set(services.users.get(ada).roles) <= left
