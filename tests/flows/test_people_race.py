"""Many at once: what may happen once happens once, on both databases (S-196)."""

import threading
import time
from collections import Counter
from collections.abc import Callable

from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.problems import Busy, Problem
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD
from support.operators import FakeOperator


def race(*jobs: Callable[[], object]) -> Counter[str]:
    """Start all jobs at the same moment; count what came of them."""
    gate, outcomes = threading.Barrier(len(jobs)), Counter[str]()

    def run(job: Callable[[], object]) -> None:
        gate.wait()
        try:
            outcomes["done" if job() else "nothing"] += 1
        except Problem as problem:
            outcomes[problem.code] += 1

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_one_admin_is_left_when_all_are_disabled_at_once(backend: Backend) -> None:
    """Sixteen tries at sixteen admins: the last one stays."""
    users = backend.services.users
    admins = [backend.create_user(f"root{n}", "admin") for n in range(16)]

    def disabling(user_id: str) -> Callable[[], object]:
        return lambda: users.change(COMMAND_LINE, user_id, None, disabled=True)

    assert race(*map(disabling, admins)) == {"done": 15, "conflict": 1}


def test_one_of_two_admins_wins_when_each_disables_the_other(backend: Backend) -> None:
    """Who was disabled a moment before can disable nobody."""
    users, scopes = backend.services.users, backend.services.issuer.known_scopes()
    a, b = backend.create_user("a", "admin"), backend.create_user("b", "admin")
    outcomes = race(
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

    assert race(*[enrol] * 16) == {"done": 1, "conflict": 15}


def test_a_version_is_changed_once(backend: Backend) -> None:
    """Of sixteen who read the same version one changes it (S-153)."""
    users, ada = backend.services.users, backend.create_user("ada", "member")
    outcomes = race(*[lambda: users.change(COMMAND_LINE, ada, 1, disabled=True)] * 16)
    assert outcomes == {"done": 1, "precondition_failed": 15}


def test_a_role_is_given_or_deleted_not_both(backend: Backend) -> None:
    """Nobody ends up with a role that is not there."""
    services, ada = backend.services, backend.create_user("ada")
    services.roles.put(COMMAND_LINE, "temp", description="", scopes=["items:read"])
    race(
        lambda: services.roles.delete(COMMAND_LINE, "temp"),
        lambda: services.users.change(COMMAND_LINE, ada, None, roles=["temp"]),
    )
    left = {role.name for role in services.roles.all()}
    assert set(services.users.get(ada).roles) <= left
