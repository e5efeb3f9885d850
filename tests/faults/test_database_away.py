"""PostgreSQL away, slow, silent, or cut off in the middle of its answer to COMMIT."""

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

PATIENCE = 5.0  # seconds without the feed before nobody is let in any more
TIMEOUT = 4.0  # seconds for a refusal: no word on the kept line (0.5), no new one (2), and some
DELAY = 2.0  # seconds that a slow database takes for each answer
COMMITTED = b"COMMIT\0"  # PostgreSQL's answer to COMMIT
ATTEMPT = "attempt-0123456789abcdef"

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture(scope="module")
def proxied(
    new_postgres: Callable[[], str],
    deploy: Callable[..., AbstractContextManager[Deployment]],
) -> Iterator[tuple[Deployment, FaultProxy]]:
    """One worker, whose way to PostgreSQL leads through a proxy."""
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
    """The theatre; whatever the last test broke has healed."""
    proxied[1].fault = PASS
    wait_until(proxied[0].service.ready, 15)
    return proxied[0]


@pytest.fixture
def proxy(proxied: tuple[Deployment, FaultProxy]) -> Iterator[FaultProxy]:
    """The way to the database."""
    yield proxied[1]
    proxied[1].fault = PASS


def last_let_in(deployment: Deployment, access: str) -> tuple[float, TimedResponse]:
    """Use an access token until it is not let in; return after how many seconds, and the answer."""
    begun, line = time.monotonic(), deployment.service.connect()
    while (answer := line.check_token(access)).status == 204:
        time.sleep(0.02)
        assert time.monotonic() - begun < 30
    return time.monotonic() - begun, answer


@pytest.mark.parametrize("kind", ["refuse", "reset", "blackhole"])
def test_requests_without_queries_go_on_until_the_feed_is_too_old(
    deployment: Deployment, proxy: FaultProxy, kind: str
) -> None:
    """R-03, R-09: then 503, not 200 and not 401; and back to normal within two seconds."""
    access = deployment.open_session().access_token
    assert deployment.service.connect().check_token(access).status == 204
    proxy.fault = Fault(kind)  # type: ignore[arg-type]  # the list above
    seconds, answer = last_let_in(deployment, access)
    proxy.fault = PASS
    back = wait_until(lambda: deployment.service.connect().check_token(access).status == 204, 10)
    print_figures(f"database {kind}", let_in_for=seconds, code=answer.code, back_after=back)
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert PATIENCE - 1.5 < seconds < PATIENCE + TIMEOUT


@pytest.mark.parametrize("kind", ["refuse", "reset", "blackhole"])
def test_a_refresh_is_refused_in_time_and_works_later_with_the_same_token(
    deployment: Deployment, proxy: FaultProxy, kind: str
) -> None:
    """R-03, R-04: 503 with Retry-After; nobody was logged out."""
    token = deployment.open_session().refresh_token
    proxy.fault = Fault(kind)  # type: ignore[arg-type]  # the list above
    answer = deployment.service.connect(timeout=20).refresh(token)
    proxy.fault = PASS
    print_figures(f"refresh {kind}", seconds=answer.seconds)
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert answer.seconds < TIMEOUT
    wait_until(lambda: deployment.service.connect().refresh(token).status == 200, 10)


def test_threads_do_not_pile_up_when_the_database_is_silent(
    deployment: Deployment, proxy: FaultProxy
) -> None:
    """R-04: forty refreshes at once at a silent database; health answers all the while."""
    tokens = [deployment.open_session().refresh_token for _ in range(40)]
    proxy.fault = Fault("blackhole")
    begun = time.monotonic()
    with ThreadPoolExecutor(40) as pool:
        jobs = [
            pool.submit(deployment.service.connect(timeout=60).refresh, token) for token in tokens
        ]
        answers = [job.result() for job in jobs]
    seconds = time.monotonic() - begun
    proxy.fault = PASS
    print_figures("forty at a silent database", seconds=seconds)
    assert {answer.status for answer in answers} == {503}
    wait_until(lambda: deployment.service.connect().refresh(tokens[0]).status == 200, 10)


def test_a_slow_database_slows_nothing_that_asks_it_nothing(
    deployment: Deployment, proxy: FaultProxy
) -> None:
    """R-04: 2 s for each answer of the database; one request a second pays, the others do not."""
    access = deployment.open_session().access_token
    line = deployment.service.connect()
    line.check_token(access)
    proxy.fault = Fault("delay", seconds=DELAY)
    with ThreadPoolExecutor(4) as pool:
        taken = sorted(pool.map(lambda _: quick(deployment, access), range(4)))
    proxy.fault = PASS
    print_figures("slow database", p50=taken[len(taken) // 2])
    assert taken[len(taken) // 2] < DELAY / 4


def quick(deployment: Deployment, access: str) -> float:
    """Return the middle of the times that a hundred requests take."""
    line = deployment.service.connect(timeout=30)
    return sorted(line.check_token(access).seconds for _ in range(100))[50]


def test_an_unknown_commit_is_resolved_by_trying_again(
    deployment: Deployment, proxy: FaultProxy
) -> None:
    """R-05: the connection is cut before the answer to COMMIT; one rotation, one successor.

    The client repeats its attempt id.
    """
    for _ in range(rounds(20, 2)):
        session = deployment.open_session()
        before = proxy.cuts
        proxy.fault = Fault("cut", before=COMMITTED)
        lost, again, third = (
            deployment.service.connect().refresh(session.refresh_token, ATTEMPT) for _ in range(3)
        )
        assert (lost.status, again.status, proxy.cuts - before) == (503, 200, 1)
        assert again.body["refresh_token"] == third.body["refresh_token"]
        assert deployment.generation(session) == 2


def test_a_lost_answer_to_the_client_is_resolved_by_trying_again(deployment: Deployment) -> None:
    """R-25: the network is cut after the commit, before the app's answer is through."""
    with FaultProxy(
        lambda: socket.create_connection(("127.0.0.1", deployment.service.port))
    ) as front:
        for cut_after in (0, 1, 200, 600):
            session = deployment.open_session()
            front.fault = Fault("cut", after=cut_after)
            with closing(ServiceConnection(front.port)) as line, suppress(*CONNECTION_ERRORS):
                line.refresh(session.refresh_token, ATTEMPT)
            plain = deployment.service.connect().refresh(session.refresh_token)
            again = deployment.service.connect().refresh(session.refresh_token, ATTEMPT)
            assert (plain.status, again.status, deployment.generation(session)) == (200, 200, 2)
            assert ("refresh_token" in plain.body, "refresh_token" in again.body) == (False, True)
        assert front.cuts == 4


def test_an_item_is_made_once_when_the_answer_was_lost(deployment: Deployment) -> None:
    """R-25, S-154: the client asks again with the same key, and is told what was made."""
    access, made = deployment.open_session().access_token, []
    with FaultProxy(
        lambda: socket.create_connection(("127.0.0.1", deployment.service.port))
    ) as front:
        for cut_after in (0, 1, 200, 600):
            front.fault = Fault("cut", after=cut_after)
            with closing(ServiceConnection(front.port)) as line, suppress(*CONNECTION_ERRORS):
                line.make_item(access, f"k-{cut_after}")
            again = deployment.service.connect().make_item(access, f"k-{cut_after}")
            made.append((again.status, again.body["id"]))
        assert front.cuts == 4
    listed = deployment.service.connect().call("GET", "/items", token=access).body["items"]
    assert sorted(made) == sorted((201, item["id"]) for item in listed)
