"""The real service on a stage: granian's worker processes on a database, and ways to hurt them.

Everything is on the loopback address; every process that is started here is ended here, by its id.
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

from support.command_line import free_port

TESTS = Path(__file__).resolve().parents[1]
CONNECTION_ERRORS = (OSError, http.client.HTTPException)


def print_figures(name: str, **figures: float | str) -> None:
    """Print the figures of a test, where `pytest -rP` or the full run shows them."""
    words = " ".join(
        f"{key}={value:.3f}" if isinstance(value, float) else f"{key}={value}"
        for key, value in figures.items()
    )
    print(f"\nFIGURE {name}: {words}")  # noqa: T201 - that is what it is for


@dataclass(frozen=True)
class TimedResponse:
    """What came back, and after how many seconds."""

    status: int
    body: dict[str, Any]
    seconds: float
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The code of a refusal."""
        return str(self.body.get("code", self.status))


class ServiceConnection:
    """A connection that is kept open, so that one worker answers all that is said on it."""

    def __init__(self, port: int, *, timeout: float = 30.0, source: str = "127.0.0.1") -> None:
        """Connect, from an address of this machine."""
        self._http = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=timeout, source_address=(source, 0)
        )
        self._http.connect()

    def call(
        self, method: str, path: str, body: object = None, *, token: str = "", key: str = ""
    ) -> TimedResponse:
        """Send a request, under an idempotency key, and read the answer. Raises one of `AWAY`."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        if token:
            headers["Authorization"] = f"Bearer {token}"
        begun = time.monotonic()
        self._http.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._http.getresponse()
        raw = answer.read()
        seconds = time.monotonic() - begun
        said = json.loads(raw) if raw.startswith(b"{") else {}
        return TimedResponse(answer.status, said, seconds, dict(answer.headers))

    def text(self, method: str, path: str) -> str:
        """Ask, and return the body as it is."""
        self._http.request(method, path)
        return self._http.getresponse().read().decode()

    def refresh(self, token: str, attempt: str = "") -> TimedResponse:
        """Present a refresh token, under an attempt id."""
        return self.call("POST", "/auth/refresh", {"refresh_token": token}, key=attempt)

    def check_token(self, access: str) -> TimedResponse:
        """Use an access token where nobody but the gate looks at it."""
        return self.call("GET", "/look", token=access)

    def make_item(self, access: str, key: str) -> TimedResponse:
        """Create an item, or the same one again under the same key."""
        body = {"name": "Lamp", "price": "12.50", "currency": "EUR"}
        return self.call("POST", "/items", body, token=access, key=key)

    def local_port(self) -> int:
        """Return the port that the other end sees."""
        return int(self._http.sock.getsockname()[1])

    def close(self) -> None:
        """Hang up."""
        self._http.close()


@dataclass
class RunningService:
    """A running service. `environment` is what it was started with."""

    environment: dict[str, str]
    workers: int
    threads: int
    port: int = 0
    log: Path = Path(os.devnull)
    start_seconds: float = 0.0  # seconds that the last start took until the first answer
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
        """Tell whether somebody answers."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return self.connect(timeout=2).call("GET", "/health/ready").status == 200
        except CONNECTION_ERRORS:
            return False

    def connect(self, *, timeout: float = 30.0) -> ServiceConnection:
        """Open a connection, to whichever worker takes it."""
        line = ServiceConnection(self.port, timeout=timeout)
        self.connections.append(line)
        return line

    def pids(self) -> list[int]:
        """Return the ids of the worker processes: the children that hold the listening socket."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [pid for pid in map(int, children.read_text().split()) if _serves(pid, self.port)]

    def metrics_folder(self) -> str:
        """Return where the workers count together."""
        told = Path(f"/proc/{self.pids()[0]}/environ").read_bytes().split(b"\0")
        found = dict(one.split(b"=", 1) for one in told if b"=" in one)
        return found[b"PROMETHEUS_MULTIPROC_DIR"].decode()

    def connect_to_each_worker(self) -> dict[int, ServiceConnection]:
        """Open one connection to every worker.

        All of them listen on one socket, and where nothing else is to do the same one may take
        every connection: who has taken one is held still until the others have theirs.
        """
        found: dict[int, ServiceConnection] = {}
        wanted = set(self.pids())
        with ExitStack() as held:
            while len(found) < self.workers:
                line = self.connect()
                line.call("GET", "/health/live")
                pid = _peer(line.local_port(), self.port, wanted)
                assert pid is not None, f"a worker died, or came: {sorted(wanted)}"
                found[pid] = line
                held.enter_context(_paused(pid))
        return found

    def kill_all(self) -> None:
        """End the service and its workers as a power cut would."""
        assert self.process is not None
        for pid in [self.process.pid, *self.pids()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        wait_until(lambda: is_free(self.port), 10)

    def stop(self) -> None:
        """Ask the service to end."""
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
    """Run the service on a database; settings are given by their names in lower case."""
    given = {f"ITEMSAPI_{name.upper()}": value for name, value in settings.items()}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    whole = {
        **inherited,
        "ITEMSAPI_DATABASE_URL": url,
        "ITEMSAPI_DATA_DIR": str(folder),
        "ITEMSAPI_RATE_LIMIT": "off",
        "ITEMSAPI_PUBLIC_URL": "http://localhost:8000",
        "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
        **given,
        **environment,
    }
    stage = RunningService(whole, workers, threads, log=folder / "server.log")
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()


def wait_until(done: Callable[[], bool], seconds: float, *, pause: float = 0.02) -> float:
    """Wait for something; return how many seconds it took, or fail."""
    begun = time.monotonic()
    while not done():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s"
        time.sleep(pause)
    return time.monotonic() - begun


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _tcp() -> Iterator[tuple[int, int, str, str]]:
    """Yield local port, remote port, state and inode of every TCP socket here."""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        part = row.split()
        yield int(part[1][-4:], 16), int(part[2][-4:], 16), part[3], part[9]


def _holds(pid: int, inodes: set[str]) -> bool:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()) in wanted:
                    return True
    return False


def _serves(pid: int, port: int) -> bool:
    return _holds(
        pid, {inode for local, _, state, inode in _tcp() if (local, state) == (port, "0A")}
    )


def _peer(ours: int, port: int, pids: set[int]) -> int | None:
    inodes = {inode for local, remote, _, inode in _tcp() if (local, remote) == (port, ours)}
    return next((pid for pid in pids if _holds(pid, inodes)), None)


@contextmanager
def _paused(pid: int) -> Iterator[None]:
    """Hold a process still, every thread of it; whoever has died meanwhile may."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _states(pid) <= {"T", "Z", "X"}, 10, pause=0.001)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _states(pid: int) -> set[str]:
    """Return what the threads of a process are doing, in the letters of proc(5)."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            found.add(stat.read_text().rpartition(")")[2].split()[0])
    return found
