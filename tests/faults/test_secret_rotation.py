"""The steps of docs/operations.md for a new secret key, on two running services (S-148, R-24)."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from itemsapi.clock import new_id
from itemsapi.testing import PASSWORD
from support.service import (
    CONNECTION_ERRORS,
    RunningService,
    ServiceConnection,
    TimedResponse,
    running_service,
    wait_until,
)

TIMEOUT_SECONDS = 60.0  # on a busy machine
OLD, NEW = "secret.key", "secret-2.key"

pytestmark = pytest.mark.slow


class Fleet:
    """Two services on one database, and the commands of their operator."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Set up the database with the old secret, and start both."""
        self.folder, self.environment = folder, {}
        self.run("secret", "new", OLD)
        first = self._start(stack, "first")
        self.environment = first.environment
        self.run("users", "add", "ada", "--role=member", "--password-stdin", stdin=PASSWORD)
        self.services = [first, self._start(stack, "second")]

    def _start(self, stack: ExitStack, name: str) -> RunningService:
        (self.folder / name).mkdir()
        url, secret = f"sqlite:///{self.folder}/itemsapi.db", str(self.folder / OLD)
        service = running_service(url, self.folder / name, workers=1, secret_key_file=secret)
        return stack.enter_context(service)

    def run(self, *words: str, stdin: str = "") -> str:
        """Run a command in the folder; return its output."""
        command = [sys.executable, "-m", "itemsapi", *words]
        done = subprocess.run(  # noqa: S603 - our own program
            command, cwd=self.folder, env=self.environment or None, input=stdin,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def set_secrets(self, current: str, previous: str = "") -> None:
        """Change the settings of both services and of the commands; nothing is restarted."""
        changes = {"ITEMSAPI_SECRET_KEY_FILE": str(self.folder / current)}
        if previous:
            changes["ITEMSAPI_SECRET_KEY_PREVIOUS_FILE"] = str(self.folder / previous)
        kept = {k: v for k, v in self.environment.items() if "SECRET_KEY" not in k}
        self.environment = kept | changes
        for service in self.services:
            kept = {k: v for k, v in service.environment.items() if "SECRET_KEY" not in k}
            service.environment = kept | changes

    def login(self, service: RunningService) -> TimedResponse:
        """Sign ada in at one of the services."""
        with closing(ServiceConnection(service.port)) as line:
            return line.call("POST", "/auth/login", {"username": "ada", "password": PASSWORD})


class AlternatingClient(threading.Thread):
    """A client that refreshes at one service after the other, and uses each access token."""

    def __init__(self, ports: list[int], token: str) -> None:
        """Start at once."""
        super().__init__()
        self.ports, self.token, self.refreshes = itertools.cycle(ports), token, 0
        self.stopped, self.failures = threading.Event(), list[str]()
        self.start()

    def run(self) -> None:
        """Refresh until stopped; the other service repeats what one that restarts did not."""
        attempt = new_id()
        while not self.stopped.wait(0.02) and not self.failures:
            try:
                with closing(ServiceConnection(next(self.ports), timeout=TIMEOUT_SECONDS)) as line:
                    response = line.refresh(self.token, attempt)
                    self._accept(line, response)
            except CONNECTION_ERRORS:
                continue
            attempt = new_id()

    def _accept(self, line: ServiceConnection, response: TimedResponse) -> None:
        if response.status != 200:
            self.failures.append(f"refresh: {response.code}")
            return
        self.token, self.refreshes = response.body["refresh_token"], self.refreshes + 1
        used = line.call("GET", "/auth/sessions", token=response.body["access_token"])
        if used.status != 200:
            self.failures.append(f"access token: {used.code}")

    def goes_on(self) -> None:
        """Wait for some refreshes at both services; fail if one was refused."""
        before = self.refreshes
        wait_until(lambda: bool(self.failures) or self.refreshes > before + 5, TIMEOUT_SECONDS)
        assert self.failures == []


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Two services with the old secret."""
    with ExitStack() as stack:
        yield Fleet(tmp_path, stack)


@pytest.fixture
def client(fleet: Fleet) -> Iterator[AlternatingClient]:
    """A client of both, signed in before the rotation."""
    token = fleet.login(fleet.services[0]).body["refresh_token"]
    client = AlternatingClient([service.port for service in fleet.services], token)
    yield client
    client.stopped.set()
    client.join(TIMEOUT_SECONDS)


def restart_one_by_one(fleet: Fleet, client: AlternatingClient) -> None:
    """Restart each service with the settings that it has now, while the client goes on."""
    for service in fleet.services:
        service.stop()
        service.start()
        client.goes_on()


def test_nobody_is_signed_out_by_a_rotation_of_the_secret(
    fleet: Fleet, client: AlternatingClient
) -> None:
    """Each step of the page, in its order, while a client refreshes at both services."""
    client.goes_on()
    fleet.run("secret", "new", NEW)
    fleet.set_secrets(NEW, previous=OLD)
    restart_one_by_one(fleet, client)
    assert "Encrypted 2 keys with the current secret." in fleet.run("secret", "rotate")
    client.goes_on()
    fleet.set_secrets(NEW)
    restart_one_by_one(fleet, client)


def test_a_leaked_secret_is_revoked_while_services_run(fleet: Fleet) -> None:
    """A service with the leaked secret accepts nothing more; after the restart all sign in."""
    token, (service, other) = fleet.login(fleet.services[0]).body["refresh_token"], fleet.services
    fleet.run("secret", "new", NEW)
    fleet.set_secrets(NEW)
    fleet.run("secret", "revoke", "--yes")
    wait_until(lambda: service.connect().refresh(token).status == 503, TIMEOUT_SECONDS)
    other.stop()
    other.start()
    refused = other.connect().refresh(token)
    assert (refused.code, fleet.login(other).status) == ("invalid_refresh_token", 200)
