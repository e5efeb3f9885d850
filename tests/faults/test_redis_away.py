"""Rates counted in Redis: over all processes, and on their own when it is away (R-08)."""

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
from support.command_line import free_port

pytestmark = pytest.mark.redis
ALLOWED = 5


@pytest.fixture
def dialect() -> str:
    """Redis does not depend on the database."""
    return "sqlite"


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    return free_port()


@pytest.fixture
def redis(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real Redis of this test's own."""
    program = shutil.which("redis-server")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no redis-server here")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path) as process:  # noqa: S603 - our own
        _wait(port)
        yield process
        process.kill()


def _wait(port: int) -> None:
    """Try until it listens."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            continue
        return


@pytest.fixture
def new_backend(make_backend: Callable[..., Backend], port: int) -> Callable[[], Backend]:
    """Start processes that count in the same Redis."""
    address = f"redis://127.0.0.1:{port}/0"
    return lambda: make_backend(rate_limit=f"{ALLOWED}/hour", rate_limit_url=address)


def statuses(backend: Backend, count: int) -> list[int]:
    """Ask for something public, again and again."""
    return [backend.client().get("/.well-known/jwks.json").status_code for _ in range(count)]


@pytest.mark.usefixtures("redis")
def test_processes_count_together(new_backend: Callable[[], Backend]) -> None:
    """What one let through, the other knows of (S-155)."""
    here, there = new_backend(), new_backend()
    assert statuses(here, 3) + statuses(there, 3) == [200] * ALLOWED + [429]


@pytest.mark.usefixtures("redis")
def test_a_refusal_names_the_policy_and_when_to_come_back(
    new_backend: Callable[[], Backend],
) -> None:
    """S-155: Retry-After and the RateLimit fields."""
    backend = new_backend()
    statuses(backend, ALLOWED)
    headers = backend.client().get("/.well-known/jwks.json").headers
    assert headers["RateLimit-Policy"] == f'"caller";q={ALLOWED};w=3600'
    assert headers["RateLimit"] == f'"caller";r=0;t={headers["Retry-After"]}'


def test_limits_hold_in_each_process_when_redis_dies(
    new_backend: Callable[[], Backend], redis: subprocess.Popen[bytes]
) -> None:
    """Never off, never a 5xx (R-08)."""
    backend = new_backend()
    statuses(backend, 1)
    redis.kill()
    redis.wait()
    assert statuses(backend, ALLOWED + 1) == [200] * ALLOWED + [429]


def test_limits_hold_when_redis_was_never_there(new_backend: Callable[[], Backend]) -> None:
    """A service starts without it."""
    assert statuses(new_backend(), ALLOWED + 1) == [200] * ALLOWED + [429]


def test_a_silent_redis_delays_one_request_in_five_seconds(
    new_backend: Callable[[], Backend], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others do not ask it: it hears of the first alone."""
    monkeypatch.setattr(rate_limits, "REDIS_RETRY_SECONDS", 600.0)
    with socket.create_server(("127.0.0.1", port)) as silent:
        backend = new_backend()
        first = statuses(backend, 1), heard(silent)
        others = statuses(backend, ALLOWED - 1), heard(silent)
    assert (first[0], first[1] > 0) == ([200], True)
    assert others == ([200] * (ALLOWED - 1), 0)


def heard(silent: socket.socket) -> int:
    """Count who has knocked since the last time."""
    silent.setblocking(False)
    count = 0
    with suppress(BlockingIOError):
        while True:
            silent.accept()[0].close()
            count += 1
    return count
