"""Many concurrent wrong passwords at real workers, at each endpoint, across a restart (S-045).

`ITEMSAPI_TEST_FULL=1 pytest -rP tests/faults/test_guessing_storm.py` sends a hundred at once.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial

import pytest

from faults.conftest import Deployment
from itemsapi.testing import PASSWORD
from support.operator_client import NEW_PASSWORD
from support.race import race
from support.rounds import rounds
from support.service import CONNECTION_ERRORS, ServiceConnection, print_figures

WORKERS, CLIENTS = 3, rounds(100, 50)
MAX_ATTEMPTS = 10  # per client and user
WRONG_PASSWORD = "not the password at all"
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
    """Log in; return the status."""
    body = {"username": "ada", "password": password}
    return line.call("POST", "/auth/login", body).status


def password_change(token: str) -> Attempt:
    """Return a function that changes the password with a stolen access token."""

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


def test_a_storm_at_both_endpoints_gets_ten_attempts_across_a_restart(
    deployment: Deployment,
) -> None:
    """Login and password change count together; afterwards the right password is rejected too."""
    change = password_change(deployment.open_session().access_token)
    attempts_sent = [(login, WRONG_PASSWORD), (change, WRONG_PASSWORD)] * (CLIENTS // 2)
    outcomes = storm(deployment, *attempts_sent)
    assert outcomes[401] + outcomes[422] == MAX_ATTEMPTS
    assert outcomes[429] == CLIENTS - MAX_ATTEMPTS
    deployment.service.kill_all()
    deployment.service.start()
    assert storm(deployment, *[(login, PASSWORD), (change, PASSWORD)] * 5) == {429: 10}


def test_right_passwords_in_a_storm_grant_no_extra_attempts(deployment: Deployment) -> None:
    """Ten of the clients know the password; the others get no more attempts for it."""
    attempts_sent = [(login, WRONG_PASSWORD)] * (CLIENTS - 10) + [(login, PASSWORD)] * 10
    outcomes = storm(deployment, *attempts_sent)
    assert 0 < outcomes[401] <= MAX_ATTEMPTS  # fewer if right ones were in flight
    assert outcomes[200] <= 10
    assert outcomes.total() == CLIENTS


def test_killed_workers_grant_no_extra_attempts(deployment: Deployment) -> None:
    """Attempts that were answered as wrong stay counted (S-045)."""
    responses = Counter[int]()

    def attempt_login(line: ServiceConnection) -> None:
        with suppress(*CONNECTION_ERRORS):
            responses[login(line, WRONG_PASSWORD)] += 1

    lines = [deployment.service.connect() for _ in range(20)]
    threads = [threading.Thread(target=attempt_login, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    deployment.service.kill_all()
    for thread in threads:
        thread.join(20)
    deployment.service.start()
    responses += storm(deployment, *[(login, WRONG_PASSWORD)] * 20)
    assert responses[401] <= MAX_ATTEMPTS
