"""Out of file descriptors or memory: requests fail safely, and the service recovers (R-23)."""

import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from faults.conftest import Deployment
from itemsapi.testing import PASSWORD
from support.service import CONNECTION_ERRORS, ServiceConnection, print_figures, wait_until

RECOVERY_TIMEOUT_SECONDS = 60.0  # to recover, on a busy machine
MAX_FILES = 64  # the number in R-23
KNOWN_FILES = {"itemsapi.db", "itemsapi.db-shm", "itemsapi.db-wal", "server.log"}

pytestmark = pytest.mark.slow


@pytest.fixture
def deployment(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """A service with one worker, whose password hashing allocates much memory."""
    with deploy("sqlite", workers=1, threads=4, argon2_memory=str(256 * 1024)) as opened:
        yield opened


@contextmanager
def limited(pid: int, kind: int, value: int) -> Iterator[None]:
    """Lower a resource limit of a process during the block."""
    previous_limit = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (value, previous_limit[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, kind, previous_limit)


def token_status(deployment: Deployment, access: str) -> int:
    """Return the status for a token, 0 without a response."""
    try:
        with closing(ServiceConnection(deployment.service.port, timeout=2)) as connection:
            return connection.check_token(access).status
    except CONNECTION_ERRORS:
        return 0


def data_files(deployment: Deployment) -> set[str]:
    """Return the names of the files in the data directory."""
    return {
        path.name for path in Path(deployment.service.environment["ITEMSAPI_DATA_DIR"]).iterdir()
    }


def assert_recovered(deployment: Deployment) -> None:
    """Check that requests succeed again and that no temporary files are left."""
    access = deployment.open_session().access_token
    wait_until(lambda: token_status(deployment, access) == 204, RECOVERY_TIMEOUT_SECONDS)
    assert deployment.service.process is not None
    assert deployment.service.process.poll() is None
    assert data_files(deployment) <= KNOWN_FILES


def test_no_request_is_wrongly_accepted_without_file_descriptors(deployment: Deployment) -> None:
    """R-23: 200 connections with 64 file descriptors; requests without a token are rejected.

    A request with a valid token may be accepted, rejected, or get no response.
    """
    access, (pid,) = deployment.open_session().access_token, deployment.service.pids()
    assert token_status(deployment, access) == 204
    with limited(pid, resource.RLIMIT_NOFILE, MAX_FILES), ExitStack() as open_connections:
        for _ in range(200):
            connection = socket.create_connection(("127.0.0.1", deployment.service.port), timeout=5)
            open_connections.enter_context(closing(connection))
        without_token = {token_status(deployment, "") for _ in range(3)}
        with_token = {token_status(deployment, access) for _ in range(2)}
    print_figures("without files", without_token=repr(without_token), with_token=repr(with_token))
    assert without_token <= {0, 401, 503}
    assert 0 in without_token | with_token, "the limit had no effect"
    assert with_token <= {0, 204, 503}
    assert_recovered(deployment)


def sign_in(deployment: Deployment, password: str) -> int:
    """Return the status of a login, 0 without a response."""
    body = {"username": "ada", "password": password}
    try:
        with closing(ServiceConnection(deployment.service.port, timeout=30)) as connection:
            return connection.call("POST", "/auth/login", body).status
    except CONNECTION_ERRORS:
        return 0


def virtual_memory(pid: int) -> int:
    """Return the virtual memory of a process in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmSize:")[1].split()[0]) * 1024


def test_no_wrong_password_is_accepted_without_memory(deployment: Deployment) -> None:
    """R-23: Argon2 cannot allocate memory; right and wrong passwords alike get an error."""
    (pid,) = deployment.service.pids()
    assert sign_in(deployment, PASSWORD) == 200
    with limited(pid, resource.RLIMIT_AS, virtual_memory(pid) // 2):
        found = {sign_in(deployment, word) for word in (PASSWORD, "not this one at all") * 3}
        status_without_token = token_status(deployment, "")
    print_figures("without memory", sign_in=repr(found), status_without_token=status_without_token)
    assert found <= {0, 500, 503}
    assert status_without_token in {0, 401, 500, 503}
    assert_recovered(deployment)
    wait_until(lambda: sign_in(deployment, PASSWORD) == 200, RECOVERY_TIMEOUT_SECONDS)
