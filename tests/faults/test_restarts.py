"""The service is told to begin anew, or to end, while everybody uses it (R-22)."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing

import pytest

from faults.conftest import Deployment
from itemsapi.clock import new_id
from support.rounds import rounds
from support.service import (
    CONNECTION_ERRORS,
    ServiceConnection,
    TimedResponse,
    print_figures,
    wait_until,
)

WITHIN = 60.0  # seconds that anything here may take on a busy machine
WORKERS, CLIENTS = 2, 8

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment(
    request: pytest.FixtureRequest, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[Deployment]:
    """A service with two workers, on each database in turn."""
    with deploy(request.param, workers=WORKERS) as opened:
        yield opened


class Careful(threading.Thread):
    """A client that opens a connection for each refresh, and hears whatever became of it.

    A worker that ends closes connections on which nothing was asked yet. `unheard` counts those:
    no byte of an answer came, so the client asks once more, as the same attempt (RFC 9110 9.2.2).
    """

    def __init__(self, deployment: Deployment) -> None:
        """Begin at once."""
        super().__init__()
        self.port, self.token = deployment.service.port, deployment.open_session().refresh_token
        self.stop, self.answered, self.unheard = threading.Event(), 0, 0
        self.failures: list[str] = []
        self.start()

    def run(self) -> None:
        """Refresh until told to stop."""
        while not self.stop.wait(0.01):
            attempt = new_id()
            try:
                answer = self.ask(attempt) or self.ask(attempt)
            except CONNECTION_ERRORS as error:
                self.failures.append(repr(error))
                continue
            if answer is None:
                self.failures.append("nobody answered")
                continue
            if answer.status != 200:
                self.failures.append(answer.code)
                continue
            self.token, self.answered = answer.body["refresh_token"], self.answered + 1

    def ask(self, attempt: str) -> TimedResponse | None:
        """Refresh; None if the connection ended before anything was answered."""
        try:
            with closing(ServiceConnection(self.port, timeout=WITHIN)) as line:
                return line.refresh(self.token, attempt)
        except ConnectionError:  # http.client.RemoteDisconnected is one
            self.unheard += 1
            return None


@pytest.fixture
def clients(deployment: Deployment) -> Iterator[list[Careful]]:
    """Eight of them."""
    found = [Careful(deployment) for _ in range(CLIENTS)]
    yield found
    for client in found:
        client.stop.set()
    for client in found:
        client.join()


def test_no_request_fails_when_all_workers_are_replaced(
    deployment: Deployment, clients: list[Careful]
) -> None:
    """R-22: SIGHUP, again and again, while eight clients refresh: each refresh is answered 200.

    Each client may meet each worker that ends once, before anything was asked.
    """
    stage, times = deployment.service, rounds(5, 2)
    assert stage.process is not None
    for _ in range(times):
        before = set(stage.pids())
        os.kill(stage.process.pid, signal.SIGHUP)
        wait_until(lambda was=before: others(deployment, was), WITHIN)  # type: ignore[misc]  # a default binds it
    seen = [client.answered for client in clients]
    wait_until(lambda: all(c.answered > n for c, n in zip(clients, seen, strict=True)), WITHIN)
    unheard = [client.unheard for client in clients]
    answered = sum(client.answered for client in clients)
    print_figures("SIGHUP", times=times, answered=answered, unheard=sum(unheard))
    assert [failure for client in clients for failure in client.failures] == []
    assert max(unheard) <= times * WORKERS


def others(deployment: Deployment, before: set[int]) -> bool:
    """Tell whether all workers are others than they were."""
    now = set(deployment.service.pids())
    return len(now) == WORKERS and not now & before


def test_whoever_was_answered_goes_on_after_an_orderly_restart(
    deployment: Deployment, clients: list[Careful]
) -> None:
    """R-22: SIGTERM under load; who got no answer tries again, and nobody was signed out."""
    wait_until(lambda: all(client.answered for client in clients), WITHIN)
    assert deployment.service.process is not None
    deployment.service.process.terminate()
    assert deployment.service.process.wait(WITHIN) == 0
    for client in clients:
        client.failures.clear()  # nobody listens now
    deployment.service.start()
    seen = [client.answered for client in clients]
    wait_until(lambda: all(c.answered > n for c, n in zip(clients, seen, strict=True)), WITHIN)
    answers = {failure for client in clients for failure in client.failures}
    assert not answers & {"invalid_refresh_token", "refresh_reused", "401"}
