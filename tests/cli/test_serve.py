"""`itemsapi serve` as a real process, from an empty directory to a clean shutdown."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from itemsapi.cli.set_up import commands_elsewhere
from itemsapi.server.supervisor import SHUTDOWN_TIMEOUT_SECONDS
from support.command_line import SECRET
from support.free_port import free_port

TESTS = Path(__file__).parents[1]
TIMEOUT_SECONDS = 60  # on a busy machine


@dataclass
class Served:
    """A running service and its output at start."""

    process: subprocess.Popen[str]
    port: int
    output: str

    def send(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request; return status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        sent = json.dumps(body) if body is not None else None
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        response = connection.getresponse()
        statuses = response.status, json.loads(response.read() or b"null")
        connection.close()
        return statuses

    def stop(self) -> int:
        """Stop the service with SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(TIMEOUT_SECONDS)
        finally:
            self.process.kill()  # if it did not stop, the test that follows must not suffer from it
            self.process.wait()
            for stream in (self.process.stdout, self.process.stderr):
                if stream:
                    stream.close()


def serve(folder: Path, *arguments: str, **settings: str) -> Served:
    """Start a service on a port of its own and wait until it responds."""
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "itemsapi", "serve", "--port", str(port), *arguments],
        cwd=folder,
        env=environment | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    output = ""
    while "Console" not in output:
        line = process.stdout.readline()
        assert line, f"the service ended: {output}"
        output += line
    served = Served(process, port, output)
    _wait_until_ready(served)
    return served


def _wait_until_ready(served: Served) -> None:
    """Wait until the service responds."""

    def responds() -> bool:
        try:
            served.send("GET", "/health/ready")
        except OSError:
            return False
        return True

    _wait_until(responds)


def _wait_until(condition: Callable[[], bool], seconds: float = TIMEOUT_SECONDS) -> None:
    """Wait until a condition is true. Raise `TimeoutError` if that takes too long."""
    pause, ends = threading.Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError
        pause.wait(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which a service is started repeatedly."""
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    """A service started in an empty directory."""
    started = serve(folder, "--admin", "ada")
    yield started
    started.stop()


def shown_password(served: Served) -> str:
    """Return the password that was shown."""
    return served.output.split("Password")[1].split()[0]


def test_the_first_admin_signs_in_with_the_shown_password(served: Served) -> None:
    """One command leads from an empty directory to a token (S-043)."""
    credentials = {"username": "ada", "password": shown_password(served)}
    status, tokens = served.send("POST", "/auth/login", credentials)
    assert (status, "users:write" in tokens["scope"]) == (200, True)


def addresses_in_samples(document: dict[str, Any]) -> set[str]:
    """Return the addresses of the service in the code samples of its document."""
    operation = document["paths"]["/items"]["get"]
    sources = [sample["source"] for sample in operation["x-codeSamples"]]
    return {found[1] for text in sources for found in re.finditer(r"(https?://\S+?)/items", text)}


def test_the_code_samples_name_the_port_that_the_service_listens_on(served: Served) -> None:
    """A reader pastes them as they are."""
    _, document = served.send("GET", "/openapi.json")
    assert addresses_in_samples(document) == {f"http://localhost:{served.port}"}


def test_the_code_samples_name_the_public_url_when_it_is_set(tmp_path: Path) -> None:
    """Whatever port the service listens on: a proxy stands in front of it."""
    served = serve(tmp_path, ITEMSAPI_PUBLIC_URL="https://api.example/shop")
    _, document = served.send("GET", "/openapi.json")
    served.stop()
    assert addresses_in_samples(document) == {"https://api.example/shop"}


def test_serve_shows_no_password_note_in_development(served: Served) -> None:
    """In development the password works without a change (S-119)."""
    user, shown, blank = served.output.splitlines()[2:5]
    assert (user, blank) == ("  User       ada", "")
    assert re.fullmatch(r"  Password   [0-9a-f]{32}   \(shown this once\)", shown)


def test_serve_says_in_production_that_the_password_must_be_changed(tmp_path: Path) -> None:
    """The shown password only allows setting another one (S-119)."""
    strict = {"PROFILE": "production", "PUBLIC_URL": "https://api.example", "SECRET_KEY": SECRET}
    service = serve(tmp_path, "--admin", "ada", **{f"ITEMSAPI_{k}": v for k, v in strict.items()})
    credentials = {"username": "ada", "password": shown_password(service)}
    tokens = service.send("POST", "/auth/login", credentials)[1]
    service.stop()
    assert service.output.splitlines()[4:6] == [
        "  It is valid for 7 days, only to set another one: in the console, or POST /me/password.",
        "",
    ]
    assert tokens["scope"] == "password:change"


def test_serve_shows_all_urls(served: Served) -> None:
    """URLs and the token issuer follow the chosen port."""
    base = f"http://localhost:{served.port}"
    assert all(f"{base}{path}\n" in served.output for path in ("", "/docs", "/console"))
    assert served.send("GET", "/.well-known/oauth-authorization-server")[1]["issuer"] == base


def test_the_data_directory_is_private(served: Served, folder: Path) -> None:
    """Only its owner can enter the directory (S-148)."""
    data = folder / "itemsapi-data"
    assert data.stat().st_mode & 0o777 == 0o700
    assert shown_password(served) not in "".join(path.name for path in data.iterdir())


@pytest.mark.slow
def test_a_second_start_creates_no_admin(tmp_path: Path) -> None:
    """`--admin` is ignored if a user exists (S-043)."""
    assert serve(tmp_path, "--admin", "ada").stop() == 0
    again = serve(tmp_path, "--admin", "eve")
    assert (again.stop(), "Password" in again.output) == (0, False)


def serve_held_view(folder: Path) -> Served:
    """Start a service whose view `/held/slow` waits for the file `slow.go`."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {
        "ITEMSAPI_BLUEPRINTS": "support.large_views:heavy",
        "ITEMSAPI_DATA_DIR": str(folder),
    }
    return serve(folder, "--admin", "ada", PYTHONPATH=path, **settings)


@pytest.mark.slow
def test_requests_in_flight_are_finished_at_sigterm(tmp_path: Path) -> None:
    """SIGTERM rejects no accepted request (R-22)."""
    service = serve_held_view(tmp_path)
    statuses: list[int] = []
    request_thread = threading.Thread(
        target=lambda: statuses.append(service.send("GET", "/held/slow")[0])
    )
    request_thread.start()
    _wait_until((tmp_path / "slow.here").exists)
    service.process.send_signal(signal.SIGTERM)
    (tmp_path / "slow.go").touch()
    code = service.stop()
    request_thread.join()
    assert (code, statuses) == (0, [200])


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_wait_for_requests_in_flight(tmp_path: Path) -> None:
    """The first one waits for them: this request never ends, as that of a slow client (R-22)."""
    service = serve_held_view(tmp_path)
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(b"GET /held/slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        _wait_until((tmp_path / "slow.here").exists)

        def interrupted() -> bool:
            """Press Ctrl-C, again and again."""
            service.process.send_signal(signal.SIGINT)
            return service.process.poll() is not None

        _wait_until(interrupted, seconds=SHUTDOWN_TIMEOUT_SECONDS)
    assert service.stop() in {0, -signal.SIGINT}  # the last one may come when all is done


@pytest.mark.slow
@pytest.mark.parametrize("is_broken", [True, False])
def test_a_worker_is_replaced_at_sighup_only_by_one_that_can_start(
    tmp_path: Path, is_broken: bool
) -> None:
    """The operator may have installed a broken version; the service must not end (R-22)."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {
        "ITEMSAPI_BLUEPRINTS": "support.failing_views:views",
        "ITEMSAPI_DATA_DIR": str(tmp_path),
    }
    service = serve(tmp_path, "--admin", "ada", PYTHONPATH=path, **settings)
    before = children(service.process.pid)
    if is_broken:
        (tmp_path / "broken").touch()
    service.process.send_signal(signal.SIGHUP)
    _wait_until(lambda: len(children(service.process.pid)) > len(before))
    _wait_until(lambda: len(children(service.process.pid)) == len(before))
    answers = [service.send("GET", "/health/ready")[0] for _ in range(4)]
    is_same = children(service.process.pid) == before
    assert (answers, is_same, service.stop()) == ([200] * 4, is_broken, 0)


def children(process: int) -> list[int]:
    """Return the processes that a process started."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
    return [int(child) for child in listed.split()]


def maps(process: int, library: str) -> bool:
    """Return whether a process has loaded a library that is not written in Python."""
    return library in Path(f"/proc/{process}/maps").read_text()


def test_the_supervisor_holds_no_application_while_it_serves(served: Served) -> None:
    """It would hold the memory of one for as long as the service runs (72 MiB instead of 21)."""
    process = served.process.pid
    assert any(maps(worker, "cryptography") for worker in children(process))
    assert not any(maps(process, name) for name in ("cryptography", "orjson", "sqlalchemy"))


def workers_of(served: Served) -> list[int]:
    """Return the processes that run the application."""
    return [each for each in children(served.process.pid) if maps(each, "cryptography")]


def cores_of_threads(process: int) -> Counter[frozenset[int]]:
    """Return how many threads of a process may use which cores."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return Counter(frozenset(os.sched_getaffinity(int(task.name))) for task in tasks)


def shared_core(process: int) -> int | None:
    """Return the core that all threads share, but for that of password hashes."""
    cores = cores_of_threads(process)
    [(most, count)] = cores.most_common(1)
    return min(most) if len(most) == 1 and cores.total() - count <= 1 else None


def test_all_threads_of_a_worker_share_a_core_while_it_serves(served: Served) -> None:
    """A list takes twice as long if they are on several (ADR 22)."""
    [worker] = workers_of(served)
    _wait_until(lambda: shared_core(worker) is not None)


@pytest.mark.slow
def test_two_workers_have_two_cores_when_there_are_two(tmp_path: Path) -> None:
    """Each takes the next core; it moves only if others keep that one busy."""
    service = serve(tmp_path, "--admin", "ada", "--workers", "2")
    expected = min(2, len(os.sched_getaffinity(0)))

    def are_spread() -> bool:
        """Return whether each worker has one core, and no two the same."""
        cores = [*map(shared_core, workers_of(service))]
        return len(cores) == 2 and None not in cores and len({*cores}) == expected

    try:
        _wait_until(are_spread)
    finally:
        assert service.stop() == 0


def test_the_threads_of_a_worker_use_every_core_with_no_pin(tmp_path: Path) -> None:
    """A view may use many cores, such as one with NumPy."""
    service = serve(tmp_path, "--admin", "ada", "--no-pin")
    used = [[*cores_of_threads(worker)] for worker in workers_of(service)]
    service.stop()
    assert used == [[frozenset(os.sched_getaffinity(0))]]


def ignores_ctrl_c(process: int) -> bool:
    """Return whether a process blocks or ignores SIGINT."""
    status = Path(f"/proc/{process}/status").read_text("ascii")
    masks = re.findall(r"^Sig(?:Blk|Ign):\s*(\w+)", status, re.MULTILINE)
    return any(int(mask, 16) & 1 << (signal.SIGINT - 1) for mask in masks)


def test_ctrl_c_is_for_the_supervisor_alone(served: Served) -> None:
    """A terminal sends it to all; a worker that is starting would show a traceback."""
    workers = children(served.process.pid)
    assert workers
    assert [worker for worker in workers if not ignores_ctrl_c(worker)] == []


def test_a_service_that_is_starting_stops_at_ctrl_c(tmp_path: Path) -> None:
    """The worker has not begun to serve; nothing but the banner is shown."""
    command = [sys.executable, "-m", "itemsapi", "serve", "--port", str(free_port())]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--admin", "ada"], cwd=tmp_path, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        _wait_until(lambda: len(children(process.pid)) > 1)
        os.killpg(process.pid, signal.SIGINT)
        shown, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, errors, "Console" in shown) == (0, "", True)


def test_serve_shows_how_another_terminal_finds_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The line works in a folder whose name has blanks; the data is where `serve` was started."""
    folder = tmp_path / "my folder"
    script = folder / "bin" / "itemsapi"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\npwd\n")
    script.chmod(0o755)
    monkeypatch.chdir(folder)
    line = commands_elsewhere(Path("itemsapi-data"), str(script))
    shown = subprocess.run(  # noqa: S603 - the line that is shown
        ["/bin/sh", "-c", f"{line} && itemsapi"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == f"{folder}\n"


@pytest.mark.parametrize("program", ["/usr/bin/flask", "bin/itemsapi"])
def test_serve_shows_no_path_when_the_command_is_found_without_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    """As below `flask`, or in an environment that is active."""
    script = tmp_path / "bin" / "itemsapi"
    script.parent.mkdir()
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(script.parent))
    assert commands_elsewhere(Path("itemsapi-data"), program) is None
