"""Rate limits counted in Redis: shared by all processes, and per process without Redis (R-08)."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from itemsapi import rate_limits
from support.app_factory import Backend
from support.free_port import free_port

pytestmark = [  # Redis does not depend on the database
    pytest.mark.redis,
    pytest.mark.dialect("sqlite"),
]
REQUEST_LIMIT = 5


@pytest.fixture
def port() -> int:
    """A free port."""
    return free_port()


@pytest.fixture
def redis(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real Redis for this test."""
    program = shutil.which("redis-server")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "redis-server is not installed"
        )
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path) as process:  # noqa: S603 - our own
        _wait_until_listening(port)
        yield process
        process.kill()


def _wait_until_listening(port: int) -> None:
    """Wait until the port is open."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            continue
        return


@pytest.fixture
def new_backend(make_backend: Callable[..., Backend], port: int) -> Callable[[], Backend]:
    """Build backends that count in the same Redis."""
    address = f"redis://127.0.0.1:{port}/0"
    return lambda: make_backend(rate_limit=f"{REQUEST_LIMIT}/hour", rate_limit_url=address)


def statuses(backend: Backend, count: int) -> list[int]:
    """Request a public path repeatedly; return the statuses."""
    return [backend.client().get("/.well-known/jwks.json").status_code for _ in range(count)]


@pytest.mark.usefixtures("redis")
def test_processes_share_their_counts(new_backend: Callable[[], Backend]) -> None:
    """Each process counts the other's requests (S-155)."""
    here, there = new_backend(), new_backend()
    assert statuses(here, 3) + statuses(there, 3) == [200] * REQUEST_LIMIT + [429]


@pytest.mark.usefixtures("redis")
def test_a_rejection_has_the_policy_and_the_retry_time(
    new_backend: Callable[[], Backend],
) -> None:
    """S-155: Retry-After and the RateLimit fields."""
    backend = new_backend()
    statuses(backend, REQUEST_LIMIT)
    headers = backend.client().get("/.well-known/jwks.json").headers
    assert headers["RateLimit-Policy"] == f'"caller";q={REQUEST_LIMIT};w=3600'
    assert headers["RateLimit"] == f'"caller";r=0;t={headers["Retry-After"]}'


def test_limits_apply_per_process_when_redis_stops(
    new_backend: Callable[[], Backend], redis: subprocess.Popen[bytes]
) -> None:
    """The limit is never off, and no request gets 5xx (R-08)."""
    backend = new_backend()
    statuses(backend, 1)
    redis.kill()
    redis.wait()
    assert statuses(backend, REQUEST_LIMIT + 1) == [200] * REQUEST_LIMIT + [429]


def test_limits_apply_when_redis_was_never_available(new_backend: Callable[[], Backend]) -> None:
    """A service starts without it."""
    assert statuses(new_backend(), REQUEST_LIMIT + 1) == [200] * REQUEST_LIMIT + [429]


def test_a_silent_redis_delays_one_request_per_retry_interval(
    new_backend: Callable[[], Backend], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other requests do not connect to it."""
    monkeypatch.setattr(rate_limits, "REDIS_RETRY_SECONDS", 600.0)
    with socket.create_server(("127.0.0.1", port)) as silent:
        backend = new_backend()
        first = statuses(backend, 1), count_connections(silent)
        others = statuses(backend, REQUEST_LIMIT - 1), count_connections(silent)
    assert (first[0], first[1] > 0) == ([200], True)
    assert others == ([200] * (REQUEST_LIMIT - 1), 0)


def count_connections(silent: socket.socket) -> int:
    """Count the connections since the last call."""
    silent.setblocking(False)
    count = 0
    with suppress(BlockingIOError):
        while True:
            silent.accept()[0].close()
            count += 1
    return count
