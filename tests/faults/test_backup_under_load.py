"""Backups and restores as processes, beside a service that writes all the time."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from conftest import DIALECTS
from faults.conftest import Deployment
from itemsapi.clock import new_id
from itemsapi.items.models import Item
from itemsapi.testing import PASSWORD
from support.postgres_programs import path_with_postgres_programs
from support.service import ServiceConnection, wait_until

Deploy = Callable[..., AbstractContextManager[Deployment]]
ENOUGH = 20  # items

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=DIALECTS)
def deployment(request: pytest.FixtureRequest, deploy: Deploy) -> Iterator[Deployment]:
    """A service on each database, which is never stopped."""
    with deploy(request.param, workers=1) as started:
        yield started


def run(deployment: Deployment, *words: str) -> None:
    """Run a command as an operator does, beside the service."""
    environment = deployment.service.environment | {"PATH": path_with_postgres_programs()}
    command = [sys.executable, "-m", "itemsapi", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    assert done.returncode == 0, done.stderr


@contextmanager
def creating_items(deployment: Deployment) -> Iterator[list[str]]:
    """Create items all the time; yield the ids of those that the service acknowledged."""
    acknowledged: list[str] = []
    stop = threading.Event()
    token, connection = deployment.open_session().access_token, deployment.service.connect()

    def create() -> None:
        while not stop.is_set():
            response = connection.make_item(token, new_id())
            if response.status == 201:
                acknowledged.append(str(response.body["id"]))

    thread = threading.Thread(target=create)
    thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        thread.join(60)


def item_ids(deployment: Deployment) -> set[str]:
    """Return the ids of all items in the database."""
    with deployment.backend.services.database.reading() as connection:
        return set(connection.scalars(select(Item.core().c.id)))


def sign_in(connection: ServiceConnection) -> int:
    """Sign in; return the status."""
    body = {"username": "ada", "password": PASSWORD}
    return connection.call("POST", "/auth/login", body).status


def test_every_item_acknowledged_before_a_backup_is_in_the_restored_database(
    deployment: Deployment, tmp_path: Path
) -> None:
    """R-07: a copy of the file of SQLite has none of those that are in its log."""
    with creating_items(deployment) as acknowledged:
        wait_until(lambda: len(acknowledged) >= ENOUGH, 60)
        before = set(acknowledged)
        run(deployment, "db", "backup", str(tmp_path / "backup"))
        wait_until(lambda: len(acknowledged) >= len(before) + ENOUGH, 60)
    run(deployment, "db", "restore", str(tmp_path / "backup"), "--replace")
    restored = item_ids(deployment)
    assert before <= restored
    assert not set(acknowledged) <= restored  # it is the backup, and not what was there


def test_a_running_service_refuses_old_tokens_after_a_restore(
    deployment: Deployment, tmp_path: Path
) -> None:
    """R-28: nobody has to stop it; users sign in again."""
    token, connect = deployment.open_session().access_token, deployment.service.connect
    run(deployment, "db", "backup", str(tmp_path / "backup"))
    assert connect().check_token(token).status == 204
    run(deployment, "db", "restore", str(tmp_path / "backup"), "--replace")
    wait_until(lambda: connect().check_token(token).status == 401, 30, pause=0.2)
    assert sign_in(connect()) == 200
