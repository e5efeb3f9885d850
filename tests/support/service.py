"""The real service: worker processes on a database, and ways to make them fail.

Everything uses the loopback address; every process started here is ended here, by its id.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from support.free_port import free_port

TESTS = Path(__file__).resolve().parents[1]
CONNECTION_ERRORS = (OSError, http.client.HTTPException)


def print_figures(name: str, **figures: float | str) -> None:
    """Print the figures of a test; `pytest -rP` and the full run show them."""
    words = " ".join(
        f"{key}={value:.3f}" if isinstance(value, float) else f"{key}={value}"
        for key, value in figures.items()
    )
    print(f"\nFIGURE {name}: {words}")  # noqa: T201 - figures are for the reader of the run


@dataclass(frozen=True)
class TimedResponse:
    """A response, and the seconds until it arrived."""

    status: int
    body: dict[str, Any]
    seconds: float
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The problem code, or the status if there is none."""
        return str(self.body.get("code", self.status))


class ServiceConnection:
    """A persistent connection: one worker handles all of its requests."""

    def __init__(self, port: int, *, timeout: float = 30.0, source: str = "127.0.0.1") -> None:
        """Connect, from an address of this machine."""
        self._http = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=timeout, source_address=(source, 0)
        )
        self._http.connect()

    def call(
        self, method: str, path: str, body: object = None, *, token: str = "", key: str = ""
    ) -> TimedResponse:
        """Send a request, optionally with an idempotency key; return the response.

        Raise one of `CONNECTION_ERRORS`.
        """
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        if token:
            headers["Authorization"] = f"Bearer {token}"
        started = time.monotonic()
        self._http.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = self._http.getresponse()
        raw = response.read()
        seconds = time.monotonic() - started
        parsed = json.loads(raw) if raw.startswith(b"{") else {}
        return TimedResponse(response.status, parsed, seconds, dict(response.headers))

    def text(self, method: str, path: str) -> str:
        """Send a request; return the body as text."""
        self._http.request(method, path)
        return self._http.getresponse().read().decode()

    def refresh(self, token: str, attempt: str = "") -> TimedResponse:
        """Send a refresh token, with an attempt id as the idempotency key."""
        return self.call("POST", "/auth/refresh", {"refresh_token": token}, key=attempt)

    def check_token(self, access: str) -> TimedResponse:
        """Use an access token on an endpoint that does nothing; only the gate checks the token."""
        return self.call("GET", "/look", token=access)

    def make_item(self, access: str, key: str) -> TimedResponse:
        """Create an item under an idempotency key; a repeated key returns the same item."""
        body = {"name": "Lamp", "price": "12.50", "currency": "EUR"}
        return self.call("POST", "/items", body, token=access, key=key)

    def local_port(self) -> int:
        """Return the local port of the connection."""
        return int(self._http.sock.getsockname()[1])

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


@dataclass
class RunningService:
    """A running service; `environment` is what it was started with."""

    environment: dict[str, str]
    workers: int
    threads: int
    port: int = 0
    log: Path = Path(os.devnull)
    start_seconds: float = 0.0  # from the last start to the first response
    process: "subprocess.Popen[bytes] | None" = None
    connections: list[ServiceConnection] = field(default_factory=list)

    def start(self) -> None:
        """Start the service and wait until it is ready."""
        self.port = self.port or free_port()
        command = [sys.executable, "-m", "itemsapi", "serve", f"--port={self.port}"]
        command += [f"--workers={self.workers}", f"--threads={self.threads}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.start_seconds = wait_until(self.ready, 60)

    def ready(self) -> bool:
        """Return whether the service is ready."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return self.connect(timeout=2).call("GET", "/health/ready").status == 200
        except CONNECTION_ERRORS:
            return False

    def connect(self, *, timeout: float = 30.0) -> ServiceConnection:
        """Open a connection, to any worker."""
        line = ServiceConnection(self.port, timeout=timeout)
        self.connections.append(line)
        return line

    def pids(self) -> list[int]:
        """Return the ids of the worker processes: the children with the listening socket."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [
            pid for pid in map(int, children.read_text().split()) if _is_listening(pid, self.port)
        ]

    def metrics_folder(self) -> str:
        """Return the folder in which the workers share their metrics."""
        entries = Path(f"/proc/{self.pids()[0]}/environ").read_bytes().split(b"\0")
        variables = dict(entry.split(b"=", 1) for entry in entries if b"=" in entry)
        return variables[b"PROMETHEUS_MULTIPROC_DIR"].decode()

    def connect_to_each_worker(self) -> dict[int, ServiceConnection]:
        """Open one connection to every worker.

        All workers listen on one socket, and on an idle machine the same worker may accept every
        connection: each worker that has one is paused until the others have theirs.
        """
        connections_by_pid: dict[int, ServiceConnection] = {}
        worker_pids = set(self.pids())
        with ExitStack() as paused_workers:
            while len(connections_by_pid) < self.workers:
                connection = self.connect()
                connection.call("GET", "/health/live")
                pid = _peer(connection.local_port(), self.port, worker_pids)
                assert pid is not None, f"a worker died or was added: {sorted(worker_pids)}"
                connections_by_pid[pid] = connection
                paused_workers.enter_context(_paused(pid))
        return connections_by_pid

    def kill_all(self) -> None:
        """Kill the service and its workers, as a power failure would."""
        assert self.process is not None
        for pid in [self.process.pid, *self.pids()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        wait_until(lambda: is_free(self.port), 10)

    def stop(self) -> None:
        """Stop the service."""
        for line in self.connections:
            line.close()
        if self.process is None or self.process.poll() is not None:
            return
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            for pid in [self.process.pid, *pids]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(5)


@contextmanager
def running_service(
    url: str,
    folder: Path,
    *,
    workers: int = 2,
    threads: int = 8,
    environment: Mapping[str, str] = MappingProxyType({}),
    **settings: str,
) -> Iterator[RunningService]:
    """Run the service on a database; settings are named in lower case."""
    setting_variables = {f"ITEMSAPI_{name.upper()}": value for name, value in settings.items()}
    inherited_variables = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    full_environment = {
        **inherited_variables,
        "ITEMSAPI_DATABASE_URL": url,
        "ITEMSAPI_DATA_DIR": str(folder),
        "ITEMSAPI_RATE_LIMIT": "off",
        "ITEMSAPI_LOG_FORMAT": "json",
        "ITEMSAPI_PUBLIC_URL": "http://localhost:8000",
        "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
        **setting_variables,
        **environment,
    }
    stage = RunningService(full_environment, workers, threads, log=folder / "server.log")
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()


def wait_until(condition: Callable[[], bool], seconds: float, *, pause: float = 0.02) -> float:
    """Wait until a condition is true; return the seconds that took. Fail after `seconds`."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(pause)
    return time.monotonic() - started


def is_free(port: int) -> bool:
    """Return whether nothing listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _tcp() -> Iterator[tuple[int, int, str, str]]:
    """Yield local port, remote port, state and inode of every TCP socket of this machine."""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        part = row.split()
        yield int(part[1][-4:], 16), int(part[2][-4:], 16), part[3], part[9]


def _has_socket(pid: int, inodes: set[str]) -> bool:
    sockets = {f"socket:[{inode}]" for inode in inodes}
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()) in sockets:
                    return True
    return False


def _is_listening(pid: int, port: int) -> bool:
    return _has_socket(
        pid, {inode for local, _, state, inode in _tcp() if (local, state) == (port, "0A")}
    )


def _peer(ours: int, port: int, pids: set[int]) -> int | None:
    inodes = {inode for local, remote, _, inode in _tcp() if (local, remote) == (port, ours)}
    return next((pid for pid in pids if _has_socket(pid, inodes)), None)


@contextmanager
def _paused(pid: int) -> Iterator[None]:
    """Pause all threads of a process; the process may have ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _states(pid) <= {"T", "Z", "X"}, 10, pause=0.001)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _states(pid: int) -> set[str]:
    """Return the states of a process's threads, in the letters of proc(5)."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            found.add(stat.read_text().rpartition(")")[2].split()[0])
    return found
