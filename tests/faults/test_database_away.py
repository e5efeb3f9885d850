"""PostgreSQL is down, slow, silent, or cut off before its response to COMMIT."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress

import pytest
from sqlalchemy import make_url

from faults.conftest import Deployment
from support.fault_proxy import PASS, Fault, FaultProxy
from support.rounds import rounds
from support.service import (
    CONNECTION_ERRORS,
    ServiceConnection,
    TimedResponse,
    print_figures,
    wait_until,
)

MAX_FEED_AGE_SECONDS = 5.0  # without the feed, after which all tokens are rejected
RESPONSE_TIMEOUT_SECONDS = 4.0  # pool check (0.5) and connect timeout (2), with some spare time
DATABASE_DELAY_SECONDS = 2.0  # per response of the slow database
COMMIT_RESPONSE = b"COMMIT\0"  # PostgreSQL's response to COMMIT
ATTEMPT = "attempt-0123456789abcdef"

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture(scope="module")
def proxied(
    new_postgres: Callable[[], str],
    deploy: Callable[..., AbstractContextManager[Deployment]],
) -> Iterator[tuple[Deployment, FaultProxy]]:
    """One worker that reaches PostgreSQL through a proxy."""
    url = new_postgres()
    address = make_url(url)
    folder = address.query.get("host") or ""

    def upstream() -> socket.socket:
        if not folder:
            return socket.create_connection((address.host or "127.0.0.1", address.port or 5432))
        end = socket.socket(socket.AF_UNIX)
        end.connect(f"{folder}/.s.PGSQL.{address.port or 5432}")
        return end

    with FaultProxy(upstream) as proxy:
        served = address.set(host="127.0.0.1", port=proxy.port, query={"sslmode": "disable"})
        there = served.render_as_string(hide_password=False)
        with deploy("postgresql", url=url, workers=1, served=there) as deployment:
            yield deployment, proxy


@pytest.fixture
def deployment(proxied: tuple[Deployment, FaultProxy]) -> Deployment:
    """The deployment, ready again after the fault of the previous test."""
    proxied[1].fault = PASS
    wait_until(proxied[0].service.ready, 15)
    return proxied[0]


@pytest.fixture
def proxy(proxied: tuple[Deployment, FaultProxy]) -> Iterator[FaultProxy]:
    """The proxy before the database."""
    yield proxied[1]
    proxied[1].fault = PASS


def use_until_rejected(deployment: Deployment, access: str) -> tuple[float, TimedResponse]:
    """Use an access token until it is rejected; return the seconds and the response."""
    started, connection = time.monotonic(), deployment.service.connect()
    while (answer := connection.check_token(access)).status == 204:
        time.sleep(0.02)
        assert time.monotonic() - started < 30
    return time.monotonic() - started, answer


@pytest.mark.parametrize("kind", ["refuse", "reset", "blackhole"])
def test_requests_without_queries_succeed_until_the_feed_is_too_old(
    deployment: Deployment, proxy: FaultProxy, kind: str
) -> None:
    """R-03, R-09: then 503, neither 200 nor 401; normal operation resumes within two seconds."""
    access = deployment.open_session().access_token
    assert deployment.service.connect().check_token(access).status == 204
    proxy.fault = Fault(kind)  # type: ignore[arg-type]  # the list above
    seconds, answer = use_until_rejected(deployment, access)
    proxy.fault = PASS
    back = wait_until(lambda: deployment.service.connect().check_token(access).status == 204, 10)
    print_figures(f"database {kind}", let_in_for=seconds, code=answer.code, back_after=back)
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert MAX_FEED_AGE_SECONDS - 1.5 < seconds < MAX_FEED_AGE_SECONDS + RESPONSE_TIMEOUT_SECONDS


@pytest.mark.parametrize("kind", ["refuse", "reset", "blackhole"])
def test_a_refresh_fails_in_time_and_succeeds_later_with_the_same_token(
    deployment: Deployment, proxy: FaultProxy, kind: str
) -> None:
    """R-03, R-04: 503 with Retry-After; no session ends."""
    token = deployment.open_session().refresh_token
    proxy.fault = Fault(kind)  # type: ignore[arg-type]  # the list above
    answer = deployment.service.connect(timeout=20).refresh(token)
    proxy.fault = PASS
    print_figures(f"refresh {kind}", seconds=answer.seconds)
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert answer.seconds < RESPONSE_TIMEOUT_SECONDS
    wait_until(lambda: deployment.service.connect().refresh(token).status == 200, 10)


def test_threads_do_not_pile_up_when_the_database_is_silent(
    deployment: Deployment, proxy: FaultProxy
) -> None:
    """R-04: forty concurrent refreshes while the database is silent get 503."""
    tokens = [deployment.open_session().refresh_token for _ in range(40)]
    proxy.fault = Fault("blackhole")
    started = time.monotonic()
    with ThreadPoolExecutor(40) as pool:
        jobs = [
            pool.submit(deployment.service.connect(timeout=60).refresh, token) for token in tokens
        ]
        answers = [job.result() for job in jobs]
    seconds = time.monotonic() - started
    proxy.fault = PASS
    print_figures("forty at a silent database", seconds=seconds)
    assert {answer.status for answer in answers} == {503}
    wait_until(lambda: deployment.service.connect().refresh(tokens[0]).status == 200, 10)


def test_a_slow_database_does_not_slow_requests_without_queries(
    deployment: Deployment, proxy: FaultProxy
) -> None:
    """R-04: with 2 s per database response, one request a second waits, the others do not."""
    access = deployment.open_session().access_token
    connection = deployment.service.connect()
    connection.check_token(access)
    proxy.fault = Fault("delay", seconds=DATABASE_DELAY_SECONDS)
    with ThreadPoolExecutor(4) as pool:
        taken = sorted(pool.map(lambda _: median_seconds(deployment, access), range(4)))
    proxy.fault = PASS
    print_figures("slow database", p50=taken[len(taken) // 2])
    assert taken[len(taken) // 2] < DATABASE_DELAY_SECONDS / 4


def median_seconds(deployment: Deployment, access: str) -> float:
    """Return the median time of a hundred requests."""
    connection = deployment.service.connect(timeout=30)
    return sorted(connection.check_token(access).seconds for _ in range(100))[50]


def test_a_retry_resolves_an_unknown_commit(deployment: Deployment, proxy: FaultProxy) -> None:
    """R-05: cut before the response to COMMIT, there is one rotation and one successor.

    The client repeats its attempt id.
    """
    for _ in range(rounds(20, 2)):
        session = deployment.open_session()
        before = proxy.cuts
        proxy.fault = Fault("cut", before=COMMIT_RESPONSE)
        first, again, third = (
            deployment.service.connect().refresh(session.refresh_token, ATTEMPT) for _ in range(3)
        )
        assert (first.status, again.status, proxy.cuts - before) == (503, 200, 1)
        assert again.body["refresh_token"] == third.body["refresh_token"]
        assert deployment.generation(session) == 2


def test_a_retry_resolves_a_lost_response(deployment: Deployment) -> None:
    """R-25: the network fails after the commit, before the response is complete."""
    with FaultProxy(
        lambda: socket.create_connection(("127.0.0.1", deployment.service.port))
    ) as service_proxy:
        for cut_after in (0, 1, 200, 600):
            session = deployment.open_session()
            service_proxy.fault = Fault("cut", after=cut_after)
            with (
                closing(ServiceConnection(service_proxy.port)) as connection,
                suppress(*CONNECTION_ERRORS),
            ):
                connection.refresh(session.refresh_token, ATTEMPT)
            without_attempt = deployment.service.connect().refresh(session.refresh_token)
            again = deployment.service.connect().refresh(session.refresh_token, ATTEMPT)
            assert (without_attempt.status, again.status, deployment.generation(session)) == (
                200,
                200,
                2,
            )
            assert ("refresh_token" in without_attempt.body, "refresh_token" in again.body) == (
                False,
                True,
            )
        assert service_proxy.cuts == 4


def test_an_item_is_created_once_when_the_response_was_lost(deployment: Deployment) -> None:
    """R-25, S-154: a retry with the same key returns the same item."""
    access, made = deployment.open_session().access_token, []
    with FaultProxy(
        lambda: socket.create_connection(("127.0.0.1", deployment.service.port))
    ) as service_proxy:
        for cut_after in (0, 1, 200, 600):
            service_proxy.fault = Fault("cut", after=cut_after)
            with (
                closing(ServiceConnection(service_proxy.port)) as connection,
                suppress(*CONNECTION_ERRORS),
            ):
                connection.make_item(access, f"k-{cut_after}")
            again = deployment.service.connect().make_item(access, f"k-{cut_after}")
            made.append((again.status, again.body["id"]))
        assert service_proxy.cuts == 4
    listed = deployment.service.connect().call("GET", "/items", token=access).body["items"]
    assert sorted(made) == sorted((201, item["id"]) for item in listed)
