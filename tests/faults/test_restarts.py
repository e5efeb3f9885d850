"""The service is restarted or stopped while clients use it (R-22)."""

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

TIMEOUT_SECONDS = 60.0  # on a busy machine
WORKERS, CLIENTS = 2, 8

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment(
    request: pytest.FixtureRequest, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[Deployment]:
    """A service with two workers, on each database in turn."""
    with deploy(request.param, workers=WORKERS) as opened:
        yield opened


class ReconnectingClient(threading.Thread):
    """A client that opens a connection for each refresh and records every failure.

    A worker that stops closes connections without a request. `unheard` counts those: no byte of a
    response arrived, so the client retries once, with the same attempt id (RFC 9110 9.2.2).
    """

    def __init__(self, deployment: Deployment) -> None:
        """Start at once."""
        super().__init__()
        self.port, self.token = deployment.service.port, deployment.open_session().refresh_token
        self.stop, self.responses, self.lost_connections = threading.Event(), 0, 0
        self.failures: list[str] = []
        self.start()

    def run(self) -> None:
        """Refresh until stopped."""
        while not self.stop.wait(0.01):
            attempt = new_id()
            try:
                answer = self.try_refresh(attempt) or self.try_refresh(attempt)
            except CONNECTION_ERRORS as error:
                self.failures.append(repr(error))
                continue
            if answer is None:
                self.failures.append("no response")
                continue
            if answer.status != 200:
                self.failures.append(answer.code)
                continue
            self.token, self.responses = answer.body["refresh_token"], self.responses + 1

    def try_refresh(self, attempt: str) -> TimedResponse | None:
        """Refresh; return None if the connection ended before a response."""
        try:
            with closing(ServiceConnection(self.port, timeout=TIMEOUT_SECONDS)) as line:
                return line.refresh(self.token, attempt)
        except ConnectionError:  # http.client.RemoteDisconnected is one
            self.lost_connections += 1
            return None


@pytest.fixture
def clients(deployment: Deployment) -> Iterator[list[ReconnectingClient]]:
    """Eight clients."""
    found = [ReconnectingClient(deployment) for _ in range(CLIENTS)]
    yield found
    for client in found:
        client.stop.set()
    for client in found:
        client.join()


def test_no_request_fails_when_all_workers_are_replaced(
    deployment: Deployment, clients: list[ReconnectingClient]
) -> None:
    """R-22: repeated SIGHUP while eight clients refresh: each refresh returns 200.

    Each client may lose one connection per stopped worker, before sending a request.
    """
    service, times = deployment.service, rounds(5, 2)
    assert service.process is not None
    for _ in range(times):
        before = set(service.pids())
        os.kill(service.process.pid, signal.SIGHUP)
        wait_until(lambda was=before: workers_replaced(deployment, was), TIMEOUT_SECONDS)  # type: ignore[misc]  # a default binds it
    seen = [client.responses for client in clients]
    wait_until(
        lambda: all(c.responses > n for c, n in zip(clients, seen, strict=True)), TIMEOUT_SECONDS
    )
    lost_connections = [client.lost_connections for client in clients]
    responses = sum(client.responses for client in clients)
    print_figures(
        "SIGHUP", times=times, responses=responses, lost_connections=sum(lost_connections)
    )
    assert [failure for client in clients for failure in client.failures] == []
    assert max(lost_connections) <= times * WORKERS


def workers_replaced(deployment: Deployment, before: set[int]) -> bool:
    """Return whether all workers have been replaced."""
    now = set(deployment.service.pids())
    return len(now) == WORKERS and not now & before


def test_sessions_survive_a_clean_restart(
    deployment: Deployment, clients: list[ReconnectingClient]
) -> None:
    """R-22: SIGTERM under load; clients without a response retry, and no session ends."""
    wait_until(lambda: all(client.responses for client in clients), TIMEOUT_SECONDS)
    assert deployment.service.process is not None
    deployment.service.process.terminate()
    assert deployment.service.process.wait(TIMEOUT_SECONDS) == 0
    for client in clients:
        client.failures.clear()  # the port is closed now
    deployment.service.start()
    seen = [client.responses for client in clients]
    wait_until(
        lambda: all(c.responses > n for c, n in zip(clients, seen, strict=True)), TIMEOUT_SECONDS
    )
    answers = {failure for client in clients for failure in client.failures}
    assert not answers & {"invalid_refresh_token", "refresh_reused", "401"}
