"""Very many rows that can go: they go in batches, and nobody waits for a lock for long (S-201).

`ITEMSAPI_TEST_FULL=1` makes a million of each.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.engine import Connection

from itemsapi.clock import new_id
from itemsapi.issuer.retention import DELETE_BATCH_ROWS, PurgeTarget, purge, purge_targets
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.rounds import rounds
from support.service import print_figures
from support.tokens import open_session

ROWS, KEPT, CHUNK = rounds(1_000_000, 20_000), 300, 10_000
LOCK = 0.05  # seconds that S-201 allows

pytestmark = pytest.mark.slow


@dataclass
class Watch:
    """How long each transaction that wrote held its locks, and what this process worked for it."""

    backend: Backend
    held: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin; of SQLite the lock is taken as the transaction begins, so nothing is missed."""
        engine = self.backend.services.database.engine
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "commit", self._end)

    def _begin(self, connection: Connection) -> None:
        connection.info["begun"] = time.monotonic(), time.thread_time()

    def _end(self, connection: Connection) -> None:
        begun_at, work = connection.info.pop("begun", (0.0, 0.0))
        if begun_at and connection.get_execution_options().get("itemsapi_writing"):
            self.held.append(time.monotonic() - begun_at)
            self.worked.append(time.thread_time() - work)


def heap(backend: Backend, name: str) -> PurgeTarget:
    """Return one heap as it is now."""
    return next(one for one in purge_targets(backend.services.issuer) if one.name == name)


def rows(backend: Backend, table: str) -> int:
    """Count the rows of a table."""
    with backend.services.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(text(table))) or 0


@pytest.fixture
def sessions(backend: Backend) -> Backend:
    """A backend with very many sessions that are over, and a few that are not."""
    user_id = backend.create_user("ada", "member")
    open_session(backend, user_id)
    table = AuthSession.core()
    with backend.services.database.reading() as connection:
        model = dict(connection.execute(select(table)).one()._mapping)  # noqa: SLF001 - its public name
    long_ago = backend.clock() - timedelta(days=30)
    over = model | {"ended_at": long_ago, "rotated_at": long_ago}
    for at in range(0, ROWS, CHUNK):
        made = [over | {"id": new_id()} for _ in range(min(CHUNK, ROWS - at))]
        with backend.services.database.transaction() as tx:
            tx.execute(insert(table), made)
    with backend.services.database.transaction() as tx:
        tx.execute(insert(table), [model | {"id": new_id()} for _ in range(KEPT - 1)])
    return backend


def spread(seconds: list[float], percent: int) -> float:
    """Return a percentile."""
    return sorted(seconds)[min(len(seconds) * percent // 100, len(seconds) - 1)]


def test_a_million_sessions_go_and_no_batch_holds_its_locks_for_long(sessions: Backend) -> None:
    """S-201: half of the batches by the clock, all but one in a hundred by the work they take.

    The clock also counts while other processes have the machine, and that is no lock's fault.
    """
    watch = Watch(sessions)
    went = purge(sessions.services.issuer, heap(sessions, "sessions"), pause=lambda _: None)
    held, worked = spread(watch.held, 50), spread(watch.worked, 99)
    kind = sessions.services.database.dialect
    print_figures(
        f"purge on {kind}", rows=went, batches=len(watch.held), held_p50=held, worked_p99=worked
    )
    assert (went, rows(sessions, "itemsapi_session")) == (ROWS, KEPT)
    assert len(watch.held) >= ROWS // DELETE_BATCH_ROWS
    assert (held < LOCK, worked < LOCK) == (True, True)


class Neighbour(threading.Thread):
    """Somebody who refreshes meanwhile."""

    def __init__(self, backend: Backend) -> None:
        """Sign in, and begin."""
        super().__init__()
        self.backend, self.stop = backend, threading.Event()
        self.token = backend.login("ada")["refresh_token"]
        self.waited: list[float] = []
        self.start()

    def run(self) -> None:
        """Refresh until told to stop."""
        while not self.stop.is_set():
            body, began = {"refresh_token": self.token}, time.monotonic()
            answer = self.backend.client().post("/auth/refresh", json=body)
            self.waited.append(time.monotonic() - began)
            self.token = answer.get_json()["refresh_token"]


@pytest.fixture
def neighbour(sessions: Backend) -> Iterator[Neighbour]:
    """One of them."""
    found = Neighbour(sessions)
    yield found
    found.stop.set()
    found.join()


def test_who_refreshes_beside_a_purge_is_served(sessions: Backend, neighbour: Neighbour) -> None:
    """S-201: with the rest that follows each batch, others get their turns all the while."""
    seen: list[int] = []
    went = purge(
        sessions.services.issuer,
        heap(sessions, "sessions"),
        lambda _: seen.append(len(neighbour.waited)),
    )
    print_figures(
        "refreshes beside a purge", count=seen[-1] - seen[0], p50=spread(neighbour.waited, 50)
    )
    assert went == ROWS
    assert seen[-1] - seen[0] >= len(seen) // 50
