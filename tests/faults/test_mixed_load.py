"""Mixed load while workers and the database are killed with kill -9 (R-37).

Half a minute on each database; `ITEMSAPI_TEST_FULL=1` runs five minutes with 200 clients. The
figures include the seed of the run; `ITEMSAPI_TEST_SEED` repeats the clients' choices.
"""

import itertools
import json
import os
import random
import signal
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

from faults.conftest import Deployment
from itemsapi.accounts.models import User, UserRole
from itemsapi.clock import new_id
from itemsapi.testing import PASSWORD
from support.bundled_postgres import start_postgres
from support.honest_client import Client, ClientConfig, ExpectedItem, Tokens
from support.rounds import rounds
from support.service import CONNECTION_ERRORS, ServiceConnection, print_figures, wait_until
from support.tokens import open_session

SEED = int(os.environ.get("ITEMSAPI_TEST_SEED") or random.SystemRandom().randrange(2**32))
SECONDS, CLIENTS, WORKERS = rounds(300, 30), rounds(200, 60), 3
WORKER_KILL_INTERVAL_SECONDS = 3.0  # a new worker takes one or two seconds to start
DATABASE_KILL_INTERVAL_SECONDS = 7.0  # the database takes one or two seconds to recover

pytestmark = pytest.mark.slow


class Killable(Protocol):
    """A database server that can be killed."""

    def kill(self, generator: random.Random) -> str:
        """Kill a part of it, restart it, and return the name of that part."""


class NoServer:
    """SQLite has no server; only workers are killed."""

    def kill(self, _: random.Random) -> str:
        """Do nothing."""
        return "nothing"


class Postgres:
    """A PostgreSQL for this test only, so that no other test is affected."""

    def __init__(self, server: Any) -> None:
        """Take the server, and create a database whose commits are durable."""
        self.server = server
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE mixed")
            connection.execute(
                "ALTER SYSTEM SET fsync = off"
            )  # processes are killed, not the machine
        self.url = server.get_uri("mixed")
        self.actions = itertools.cycle([self.kill_one, self.kill_all])

    def kill(self, generator: random.Random) -> str:
        """Kill one backend process or the whole server, alternately."""
        return next(self.actions)(generator)

    def kill_one(self, generator: random.Random) -> str:
        """Kill a process that serves a connection: the server restarts all others.

        No other process is killed: the death of the recovery process would end the server.
        """
        pid = self.server.get_pid()
        wait_until(lambda: _kill_pids(_backend_pids(pid, generator)[:1]), 20)
        return "backend"

    def kill_all(self, _: random.Random) -> str:
        """Kill all processes and start the server again."""
        parent = self.server.get_pid()
        server_pids = [parent, *_children(parent)]
        _kill_pids(server_pids)
        wait_until(lambda: not any(map(_alive, server_pids)), 20)
        # an unreaped process id would make the new server believe that the old one is alive
        for lock in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.server.pgdata / lock).unlink(missing_ok=True)
        self.server.ensure_postgres_running()
        return "server"


def _children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _backend_pids(pid: int, generator: random.Random) -> list[int]:
    """Return the processes that serve a connection of the service, in random order."""
    found = []
    for one in _children(pid):
        with suppress(OSError):
            if b" mixed [local] idle" in Path(f"/proc/{one}/cmdline").read_bytes():
                found.append(one)
    return generator.sample(found, len(found))


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _kill_pids(pids: list[int]) -> bool:
    """Kill processes; return whether there were any."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that may be killed."""
    with start_postgres() as server:
        yield Postgres(server)
        print(server.log.read_text()[-4000:])  # noqa: T201 - shown where the test failed


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment_and_database(
    request: pytest.FixtureRequest, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[tuple[Deployment, Killable]]:
    """The service on each database in turn, and the database server to kill."""
    if request.param == "sqlite":
        with deploy("sqlite", workers=WORKERS) as deployment:
            yield deployment, NoServer()
        return
    server: Postgres = request.getfixturevalue("own_postgres")
    with deploy("postgresql", url=server.url, workers=WORKERS) as deployment:
        yield deployment, server


def create_clients(deployment: Deployment, stop: threading.Event) -> list[Client]:
    """Create the users, all with one password, and open a session for each."""
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
        address = f"127.1.{number // 250}.{number % 250 + 1}"  # each client has its own address
        clients.append(
            Client(ClientConfig(name, address, tokens, SEED), deployment.service.port, stop)
        )
    return clients


def kill_repeatedly(deployment: Deployment, database: Killable) -> Counter[str]:
    """Kill workers and the database repeatedly; return the counts."""
    generator, kills, service = random.Random(SEED), Counter[str](), deployment.service  # noqa: S311 - no secret
    last_worker_kill = last_database_kill = time.monotonic()
    ends = time.monotonic() + SECONDS
    while (now := time.monotonic()) < ends:
        time.sleep(generator.uniform(0.05, 0.2))
        if now - last_worker_kill > WORKER_KILL_INTERVAL_SECONDS and (
            worker_pids := service.pids()
        ):
            _kill_pids([generator.choice(worker_pids)])
            last_worker_kill, kills["worker"] = now, kills["worker"] + 1
        if now - last_database_kill > DATABASE_KILL_INTERVAL_SECONDS:
            kills[database.kill(generator)] += 1
            last_database_kill = time.monotonic()
    return kills


def test_nothing_is_lost_or_done_twice_when_processes_are_killed(
    deployment_and_database: tuple[Deployment, Killable],
) -> None:
    """R-37: each client finds exactly the acknowledged state; ended sessions stay ended.

    R-35: each 503 has a log line.
    """
    deployment, database = deployment_and_database
    stop = threading.Event()
    clients = create_clients(deployment, stop)
    for client in clients:
        client.start()
    try:
        kills = kill_repeatedly(deployment, database)
    finally:
        stop.set()
        for client in clients:
            client.join()
    actions_done = sum((client.actions_done for client in clients), Counter[str]())
    print_figures(
        "mixed load", seed=SEED, clients=CLIENTS, seconds=SECONDS, kills=repr(dict(kills))
    )
    print_figures(
        "mixed load did", **{name.replace(" ", "_"): count for name, count in actions_done.items()}
    )
    assert [fault for client in clients for fault in client.faults] == [], f"seed {SEED}"
    assert stored_items(deployment) == {
        i: known for client in clients for i, known in client.items.items()
    }
    assert count_causes(deployment) >= actions_done["503"]
    assert (
        still_accepted(deployment, [ended for client in clients for ended in client.ended]) == set()
    )


def stored_items(deployment: Deployment) -> dict[str, ExpectedItem]:
    """Return the items in the database; SQLite's integrity check must pass."""
    with deployment.backend.services.database.reading() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        found = connection.execute(text("SELECT id, name, quantity, version FROM itemsapi_item"))
        return {row.id: ExpectedItem(row.name, row.quantity, row.version) for row in found}


def count_causes(deployment: Deployment) -> int:
    """Count the log lines that explain a 503 (R-35)."""
    lines = [
        line for line in deployment.service.log.read_text().splitlines() if line.startswith("{")
    ]
    return sum(json.loads(line)["event"] == "unavailable" for line in lines)


def still_accepted(deployment: Deployment, ended: list[Tokens]) -> set[str]:
    """Return the ended sessions that a worker still accepts or refreshes."""
    lines: list[ServiceConnection] = []

    def connect_to_all() -> bool:
        """Return whether each worker responds: the last killed one may still be starting."""
        with suppress(AssertionError, *CONNECTION_ERRORS):
            lines.extend(deployment.service.connect_to_each_worker().values())
        return bool(lines)

    wait_until(connect_to_all, 60)
    wait_until(
        lambda: {connection.call("GET", "/health/ready").status for connection in lines} == {200},
        30,
    )

    def refused(tokens: Tokens) -> bool:
        seen = {connection.check_token(tokens.access).status for connection in lines}
        return seen | {lines[0].refresh(tokens.refresh).status} == {401}

    return {tokens.access for tokens in ended if not refused(tokens)}
