"""Out of files, out of memory: refused, never let in, and well again afterwards (R-23)."""

import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from faults.conftest import Deployment
from support.app_factory import PASSWORD
from support.service import CONNECTION_ERRORS, ServiceConnection, print_figures, wait_until

WITHIN = 60.0  # seconds in which all has to be well again, on a busy machine
FILES = 64  # as R-23 has it
KNOWN = {"itemsapi.db", "itemsapi.db-shm", "itemsapi.db-wal", "server.log"}

pytestmark = pytest.mark.slow


@pytest.fixture
def deployment(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """A service with one worker, whose passwords take much memory, so that none is kept of it."""
    with deploy("sqlite", workers=1, threads=4, argon2_memory=str(256 * 1024)) as opened:
        yield opened


@contextmanager
def limited(pid: int, kind: int, value: int) -> Iterator[None]:
    """Take from a process what it may use, and give it back if it still lives."""
    was = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (value, was[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, kind, was)


def outcome(deployment: Deployment, access: str) -> int:
    """Return the status that a token gets, 0 where there is no answer."""
    try:
        with closing(ServiceConnection(deployment.service.port, timeout=2)) as line:
            return line.check_token(access).status
    except CONNECTION_ERRORS:
        return 0


def files(deployment: Deployment) -> set[str]:
    """Return the names of what lies in the folder of data."""
    return {
        path.name for path in Path(deployment.service.environment["ITEMSAPI_DATA_DIR"]).iterdir()
    }


def well(deployment: Deployment) -> None:
    """See that all is served again, and that nothing half-made lies about."""
    access = deployment.open_session().access_token
    wait_until(lambda: outcome(deployment, access) == 204, WITHIN)
    assert deployment.service.process is not None
    assert deployment.service.process.poll() is None
    assert files(deployment) <= KNOWN


def test_without_files_nobody_is_let_in_who_should_not_be(deployment: Deployment) -> None:
    """R-23: 200 connections where 64 files may be open; no token opens nothing, and it ends well.

    Whoever has a good token may be let in, or refused, or get no answer.
    """
    access, (pid,) = deployment.open_session().access_token, deployment.service.pids()
    assert outcome(deployment, access) == 204
    with limited(pid, resource.RLIMIT_NOFILE, FILES), ExitStack() as held:
        for _ in range(200):
            line = socket.create_connection(("127.0.0.1", deployment.service.port), timeout=5)
            held.enter_context(closing(line))
        strangers = {outcome(deployment, "") for _ in range(3)}
        friends = {outcome(deployment, access) for _ in range(2)}
    print_figures("without files", strangers=repr(strangers), friends=repr(friends))
    assert strangers <= {0, 401, 503}
    assert 0 in strangers | friends, "the limit was none"
    assert friends <= {0, 204, 503}
    well(deployment)


def sign_in(deployment: Deployment, password: str) -> int:
    """Return the status of a sign-in, 0 where there is no answer."""
    body = {"username": "ada", "password": password}
    try:
        with closing(ServiceConnection(deployment.service.port, timeout=30)) as line:
            return line.call("POST", "/auth/login", body).status
    except CONNECTION_ERRORS:
        return 0


def size(pid: int) -> int:
    """Return how many bytes of addresses a process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmSize:")[1].split()[0]) * 1024


def test_without_memory_no_password_is_taken_for_right(deployment: Deployment) -> None:
    """R-23: Argon2 gets none for its work; refused or no answer, for good and bad ones alike."""
    (pid,) = deployment.service.pids()
    assert sign_in(deployment, PASSWORD) == 200
    with limited(pid, resource.RLIMIT_AS, size(pid) // 2):
        found = {sign_in(deployment, word) for word in (PASSWORD, "not this one at all") * 3}
        stranger = outcome(deployment, "")
    print_figures("without memory", sign_in=repr(found), stranger=stranger)
    assert found <= {0, 500, 503}
    assert stranger in {0, 401, 500, 503}
    well(deployment)
    wait_until(lambda: sign_in(deployment, PASSWORD) == 200, WITHIN)
