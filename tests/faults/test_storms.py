"""Many clients sign in or refresh at once: some wait, some get 503, the others succeed.

Time bounds are those of the requirements, or relative to the same load without password hashing:
clients and service share one machine here. `ITEMSAPI_TEST_FULL=1` uses the full numbers of clients.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from faults.conftest import Deployment
from itemsapi.accounts.passwords import MAX_CONCURRENT_HASHES
from itemsapi.testing import PASSWORD
from support.race import race
from support.rounds import rounds
from support.service import ServiceConnection, TimedResponse, print_figures
from support.tokens import open_session

WORKERS, THREADS = 2, 8
CLIENTS = rounds(500, 60)
HASH_MIB = 46  # per password: OWASP's alternative parameters, 46 MiB and 1 pass
TOKEN_CHECKS = rounds(1000, 300)
CREDENTIALS = {"username": "ada", "password": PASSWORD}
INVALID_REQUEST = {"username": "ada"}  # gets 422 without hashing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """A service with two workers, whose password hashing uses much memory."""
    cost = {"argon2_memory": str(HASH_MIB * 1024), "argon2_time": "1", "session_limit": "100000"}
    with deploy("sqlite", workers=WORKERS, threads=THREADS, **cost) as opened:
        # The first sign-in rehashes the password with these parameters.
        assert (
            opened.service.connect(timeout=60).call("POST", "/auth/login", CREDENTIALS).status
            == 200
        )
        yield opened


def client_address(at: int) -> str:
    """Return one of the addresses of this machine, a different one for each client."""
    return f"127.3.{at // 250}.{at % 250 + 1}"


def sign_in_at_once(deployment: Deployment, body: dict[str, Any]) -> list[TimedResponse]:
    """Send the same login request from all clients at once."""
    port = deployment.service.port
    with ExitStack() as stack:
        connections = [
            stack.enter_context(
                closing(ServiceConnection(port, timeout=60, source=client_address(at)))
            )
            for at in range(CLIENTS)
        ]
        return race(*(partial(one.call, "POST", "/auth/login", body) for one in connections))


def sign_in_alone(deployment: Deployment) -> float:
    """Sign in without other load; return the seconds it took."""
    with closing(ServiceConnection(deployment.service.port, timeout=60)) as connection:
        response = connection.call("POST", "/auth/login", CREDENTIALS)
    assert response.status == 200
    return response.seconds


def percentile(seconds: list[float], percent: int) -> float:
    """Return a percentile."""
    return sorted(seconds)[len(seconds) * percent // 100]


def test_excess_sign_ins_are_rejected_at_once(deployment: Deployment) -> None:
    """R-13, S-048: some succeed, the rest get 503 within 100 ms.

    The bound adds one sign-in, since every core is hashing, and twice the time of a cheap
    rejection, since all clients send at once. A client that waits in the hashing queue waits
    longer.
    """
    one = median(sign_in_alone(deployment) for _ in range(3))
    without_hashing = [
        response.seconds for response in sign_in_at_once(deployment, INVALID_REQUEST)
    ]
    responses = sign_in_at_once(deployment, CREDENTIALS)
    refused = [response for response in responses if response.status != 200]
    took = [response.seconds for response in refused]
    let_in, calm_p50 = CLIENTS - len(refused), percentile(without_hashing, 50)
    print_figures(
        "login storm",
        callers=CLIENTS,
        let_in=let_in,
        p50=percentile(took, 50),
        without_hashing=calm_p50,
        one=one,
    )
    assert {response.status for response in responses} == {200, 503}
    assert {response.headers.get("retry-after") for response in refused} == {"1"}
    assert percentile(took, 50) < 0.1 + one + 2 * calm_p50


def peak_memory(pid: int) -> int:
    """Return the peak memory of a process in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def reset_peak_memory(pid: int) -> None:
    """Reset the peak memory of a process (proc(5))."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def test_concurrent_sign_ins_use_the_memory_of_the_hashing_limit(deployment: Deployment) -> None:
    """R-13: as many hashes as allowed run at once, not one for each thread."""
    sign_in_at_once(deployment, CREDENTIALS)
    for pid in deployment.service.pids():
        reset_peak_memory(pid)
    before = {pid: peak_memory(pid) for pid in deployment.service.pids()}
    sign_in_at_once(deployment, CREDENTIALS)
    grown = max(peak_memory(pid) - was for pid, was in before.items()) / 2**20
    print_figures("memory of a login storm", grown_mib=grown)
    assert grown < (MAX_CONCURRENT_HASHES + 1) * HASH_MIB


class SigningInClient(threading.Thread):
    """A client that signs in up to twenty times a second."""

    def __init__(self, deployment: Deployment, at: int, body: dict[str, Any]) -> None:
        """Start at once."""
        super().__init__()
        self.connection = ServiceConnection(
            deployment.service.port, timeout=60, source=client_address(at)
        )
        self.body, self.stop, self.seen = body, threading.Event(), set[int]()
        self.start()

    def run(self) -> None:
        """Sign in until stopped."""
        with closing(self.connection):
            while not self.stop.wait(0.05):
                self.seen.add(self.connection.call("POST", "/auth/login", self.body).status)


def check_tokens_during(
    deployment: Deployment, body: dict[str, Any]
) -> tuple[list[float], set[int]]:
    """Check a token while clients sign in; return the response times and the clients' statuses."""
    access, each = (
        deployment.open_session().access_token,
        deployment.service.connect_to_each_worker().values(),
    )
    crowd = [SigningInClient(deployment, at, body) for at in range(rounds(40, 16))]
    try:
        looks = [
            connection.check_token(access)
            for _ in range(TOKEN_CHECKS // WORKERS)
            for connection in each
        ]
    finally:
        for one in crowd:
            one.stop.set()
        for one in crowd:
            one.join()
    assert {look.status for look in looks} == {204}
    return [look.seconds for look in looks], set().union(*(one.seen for one in crowd))


def test_token_checks_stay_fast_during_a_storm_of_sign_ins(deployment: Deployment) -> None:
    """R-13: 99 of 100 responses take at most twice the time, while every core is hashing."""
    without_hashing, _ = check_tokens_during(deployment, INVALID_REQUEST)
    storm, seen = check_tokens_during(deployment, CREDENTIALS)
    print_figures(
        "GET beside a login storm",
        p99=percentile(storm, 99),
        without_hashing=percentile(without_hashing, 99),
        p50=percentile(storm, 50),
    )
    assert seen == {200, 503}
    assert percentile(storm, 99) < 0.1 + 2 * percentile(without_hashing, 99)


def test_refreshes_are_spread_over_a_minute(deployment: Deployment) -> None:
    """R-12: ten thousand clients that signed in at one moment refresh over a minute."""
    backend, count = deployment.backend, rounds(10_000, 1000)
    user_id = backend.services.users.get_by_name("ada").id
    lifetimes = [open_session(backend, user_id).expires_in for _ in range(count)]
    seconds_range = range(min(lifetimes), max(lifetimes) + 1)
    fullest = max(lifetimes.count(second) for second in seconds_range)
    print_figures("spread", clients=count, seconds=len(seconds_range), fullest=fullest)
    assert len(seconds_range) > 50
    assert fullest < 2 * count / len(seconds_range) + 20


@pytest.fixture
def tokens(deployment: Deployment) -> list[str]:
    """Refresh tokens of many clients; a user has at most fifty sessions."""
    backend, count = deployment.backend, rounds(10_000, 500)
    backend.clock.current = datetime.now(UTC)
    users = [backend.create_user(f"user{at}", "member") for at in range(count // 50)]
    return [open_session(backend, user_id).refresh_token for user_id in users for _ in range(50)]


def test_a_storm_of_refreshes_succeeds(deployment: Deployment, tokens: list[str]) -> None:
    """R-12: 10,000 in a minute: all 200, 99 of 100 within a second.

    Or within thirty times the time of a single one, on a slower machine.
    """
    alone = percentile(
        [deployment.service.connect().refresh(token).seconds for token in tokens[:20]], 50
    )
    responses = refresh_over_time(deployment, tokens[20:], rounds(60, 10))
    waited = [response.seconds for response in responses]
    print_figures("refresh storm", clients=len(tokens), p99=percentile(waited, 99), alone=alone)
    assert {response.status for response in responses} == {200}
    assert percentile(waited, 99) < max(1.0, 30 * alone)


def refresh_over_time(
    deployment: Deployment, tokens: list[str], seconds: float
) -> list[TimedResponse]:
    """Send each token at its time within `seconds`, over a fixed number of connections."""
    begins = time.monotonic()
    free = [
        ServiceConnection(deployment.service.port, timeout=60, source=client_address(at))
        for at in range(32)
    ]

    def call(at: int, token: str) -> TimedResponse:
        time.sleep(max(0.0, begins + at * seconds / len(tokens) - time.monotonic()))
        connection = free.pop()
        try:
            return connection.refresh(token)
        finally:
            free.append(connection)

    try:
        with ThreadPoolExecutor(len(free)) as pool:
            return list(pool.map(call, range(len(tokens)), tokens))
    finally:
        for connection in free:
            connection.close()
