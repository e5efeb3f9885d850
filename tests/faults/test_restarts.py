"""The service is told to begin anew, or to end, while everybody uses it (R-22)."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing

import pytest

from faults.conftest import Theatre
from faults.stage import AWAY, Line, rounds, told, until
from itemsapi.clock import new_id

WITHIN = 60.0  # seconds that anything here may take on a busy machine
WORKERS, CLIENTS = 2, 8

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def play(
    request: pytest.FixtureRequest, theatre: Callable[..., AbstractContextManager[Theatre]]
) -> Iterator[Theatre]:
    """A service with two workers, on each database in turn."""
    with theatre(request.param, workers=WORKERS) as opened:
        yield opened


class Careful(threading.Thread):
    """A client that opens a connection for each refresh, and hears whatever became of it.

    So every request is one that the service let in: none can break because the connection that it
    was sent on was closed just then for having been idle (RFC 9112 section 9.3).
    """

    def __init__(self, play: Theatre) -> None:
        """Begin at once."""
        super().__init__()
        self.port, self.token = play.stage.port, play.session().refresh_token
        self.stop, self.answered = threading.Event(), 0
        self.failures: list[str] = []
        self.start()

    def run(self) -> None:
        """Refresh until told to stop."""
        while not self.stop.wait(0.01):
            try:
                with closing(Line(self.port, timeout=WITHIN)) as line:
                    answer = line.refresh(self.token, new_id())
            except AWAY as error:
                self.failures.append(repr(error))
                continue
            if answer.status != 200:
                self.failures.append(answer.code)
                continue
            self.token, self.answered = answer.body["refresh_token"], self.answered + 1


@pytest.fixture
def clients(play: Theatre) -> Iterator[list[Careful]]:
    """Eight of them."""
    found = [Careful(play) for _ in range(CLIENTS)]
    yield found
    for client in found:
        client.stop.set()
    for client in found:
        client.join()


def test_no_request_fails_when_all_workers_are_replaced(
    play: Theatre, clients: list[Careful]
) -> None:
    """R-22: SIGHUP, again and again, while eight clients refresh: each refresh is answered 200."""
    stage, times = play.stage, rounds(5, 2)
    assert stage.process is not None
    for _ in range(times):
        before = set(stage.pids())
        os.kill(stage.process.pid, signal.SIGHUP)
        until(lambda was=before: others(play, was), WITHIN)  # type: ignore[misc]  # a default binds it
    seen = [client.answered for client in clients]
    until(lambda: all(c.answered > n for c, n in zip(clients, seen, strict=True)), WITHIN)
    told("SIGHUP", times=times, answered=sum(client.answered for client in clients))
    assert [failure for client in clients for failure in client.failures] == []


def others(play: Theatre, before: set[int]) -> bool:
    """Tell whether all workers are others than they were."""
    now = set(play.stage.pids())
    return len(now) == WORKERS and not now & before


def test_whoever_was_answered_goes_on_after_an_orderly_restart(
    play: Theatre, clients: list[Careful]
) -> None:
    """R-22: SIGTERM under load; who got no answer tries again, and nobody was signed out."""
    until(lambda: all(client.answered for client in clients), WITHIN)
    assert play.stage.process is not None
    play.stage.process.terminate()
    assert play.stage.process.wait(WITHIN) == 0
    for client in clients:
        client.failures.clear()  # nobody listens now
    play.stage.start()
    seen = [client.answered for client in clients]
    until(lambda: all(c.answered > n for c, n in zip(clients, seen, strict=True)), WITHIN)
    answers = {failure for client in clients for failure in client.failures}
    assert not answers & {"invalid_refresh_token", "refresh_reused", "401"}
