"""Storms of guesses at real workers, at every door, over a restart (S-045).

`ITEMSAPI_TEST_FULL=1 pytest -rP tests/faults/test_guessing_storm.py` sends a hundred at once.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial

import pytest

from faults.conftest import Deployment
from support.app_factory import PASSWORD
from support.operator_client import NEW_PASSWORD
from support.race import race
from support.rounds import rounds
from support.service import CONNECTION_ERRORS, ServiceConnection, print_figures

WORKERS, CALLERS = 3, rounds(100, 50)
LIMIT = 10  # of one client at one account
WRONG = "not the password at all"
Attempt = Callable[[ServiceConnection, str], int]

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment(
    request: pytest.FixtureRequest, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[Deployment]:
    """The service with three workers, on each database in turn."""
    with deploy(request.param, workers=WORKERS) as opened:
        yield opened


def login(line: ServiceConnection, password: str) -> int:
    """Try to sign in; return the status."""
    body = {"username": "ada", "password": password}
    return line.call("POST", "/auth/login", body).status


def changing(token: str) -> Attempt:
    """Return how to try to change the password with a stolen access token."""

    def change(line: ServiceConnection, password: str) -> int:
        body = {"current_password": password, "new_password": NEW_PASSWORD}
        return line.call("POST", "/me/password", body, token=token).status

    return change


def storm(deployment: Deployment, *attempts: tuple[Attempt, str]) -> Counter[int]:
    """Run all attempts at once, repeat those that get 503; count the final statuses."""
    connections = [deployment.service.connect(timeout=60) for _ in attempts]

    def run(connection: ServiceConnection, attempt: Attempt, password: str) -> int:
        while (status := attempt(connection, password)) == 503:
            pass
        return status

    jobs = [partial(run, one, *attempt) for one, attempt in zip(connections, attempts, strict=True)]
    statuses = Counter(race(*jobs))
    for connection in connections:
        connection.close()
    figures = {str(status): count for status, count in sorted(statuses.items())}
    print_figures(f"storm of {len(attempts)}", **figures)
    return statuses


def test_a_storm_at_both_doors_gets_ten_tries_over_a_restart(deployment: Deployment) -> None:
    """Sign-in and change of password together; the right one is refused after it, and later on."""
    change = changing(deployment.open_session().access_token)
    tries = [(login, WRONG), (change, WRONG)] * (CALLERS // 2)
    outcomes = storm(deployment, *tries)
    assert outcomes[401] + outcomes[422] == LIMIT
    assert outcomes[429] == CALLERS - LIMIT
    deployment.service.kill_all()
    deployment.service.start()
    assert storm(deployment, *[(login, PASSWORD), (change, PASSWORD)] * 5) == {429: 10}


def test_right_passwords_in_a_storm_buy_no_tries(deployment: Deployment) -> None:
    """Ten of the callers know it: nobody else learns more for that."""
    tries = [(login, WRONG)] * (CALLERS - 10) + [(login, PASSWORD)] * 10
    outcomes = storm(deployment, *tries)
    assert 0 < outcomes[401] <= LIMIT  # less if right ones, under way, stood in the way
    assert outcomes[200] <= 10
    assert outcomes.total() == CALLERS


def test_workers_that_are_killed_in_a_storm_give_no_tries_away(deployment: Deployment) -> None:
    """What was answered as wrong stays counted (S-045)."""
    answers = Counter[int]()

    def guess(line: ServiceConnection) -> None:
        with suppress(*CONNECTION_ERRORS):
            answers[login(line, WRONG)] += 1

    lines = [deployment.service.connect() for _ in range(20)]
    threads = [threading.Thread(target=guess, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    deployment.service.kill_all()
    for thread in threads:
        thread.join(20)
    deployment.service.start()
    answers += storm(deployment, *[(login, WRONG)] * 20)
    assert answers[401] <= LIMIT
