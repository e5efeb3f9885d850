"""`itemsapi serve`, the real thing: from an empty directory to an orderly end."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.command_line import SECRET, free_port

TESTS = Path(__file__).parents[1]
WITHIN = 60  # seconds, on a machine that does other things too


@dataclass
class Served:
    """A service that runs, and what it said when it started."""

    process: subprocess.Popen[str]
    port: int
    said: str

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request; return the status and what came back."""
        http_line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN)
        sent = json.dumps(body) if body is not None else None
        http_line.request(method, path, sent, {"Content-Type": "application/json"})
        answer = http_line.getresponse()
        found = answer.status, json.loads(answer.read() or b"null")
        http_line.close()
        return found

    def stop(self) -> int:
        """End it as an operator does; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WITHIN)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return code


def serve(folder: Path, *words: str, **settings: str) -> Served:
    """Start a service on a port of its own and wait until it answers."""
    port = free_port()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "itemsapi", "serve", "--port", str(port), *words],
        cwd=folder,
        env=clean | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    while "Console" not in said:
        line = process.stdout.readline()
        assert line, f"it ended: {said}"
        said += line
    served = Served(process, port, said)
    _wait(served)
    return served


def _wait(served: Served) -> None:
    """Try until somebody listens; what has begun to start is there in a moment."""

    def answers() -> bool:
        try:
            served.ask("GET", "/health/ready")
        except OSError:
            return False
        return True

    _until(answers)


def _until(true: Callable[[], bool]) -> None:
    """Wait for something. Raises `TimeoutError`."""
    pause, ends = threading.Event(), time.monotonic() + WITHIN
    while not true():
        if time.monotonic() > ends:
            raise TimeoutError
        pause.wait(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that a service is started in, again and again."""
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    """A service that started in an empty directory."""
    started = serve(folder, "--admin", "ada")
    yield started
    started.stop()


def password(served: Served) -> str:
    """Return the password that was shown."""
    return served.said.split("Password")[1].split()[0]


def test_the_first_admin_signs_in_with_what_was_shown(served: Served) -> None:
    """From nothing to a token with one command (S-043)."""
    wish = {"username": "ada", "password": password(served)}
    status, tokens = served.ask("POST", "/auth/login", wish)
    assert (status, "users:write" in tokens["scope"]) == (200, True)


def test_it_says_no_more_of_the_password_in_development(served: Served) -> None:
    """It simply works: a newcomer meets no hurdle, and no word of it (S-119)."""
    user, shown, blank = served.said.splitlines()[2:5]
    assert (user, blank) == ("  User       ada", "")
    assert re.fullmatch(r"  Password   [0-9a-f]{32}   \(shown this once\)", shown)


def test_it_says_in_production_that_the_password_must_be_changed(tmp_path: Path) -> None:
    """And where; what is shown opens nothing else (S-119)."""
    strict = {"PROFILE": "production", "PUBLIC_URL": "https://api.example", "SECRET_KEY": SECRET}
    service = serve(tmp_path, "--admin", "ada", **{f"ITEMSAPI_{k}": v for k, v in strict.items()})
    wish = {"username": "ada", "password": password(service)}
    tokens = service.ask("POST", "/auth/login", wish)[1]
    service.stop()
    assert service.said.splitlines()[4:6] == [
        "  It is valid for 7 days, only to set another one: in the console, or POST /me/password.",
        "",
    ]
    assert tokens["scope"] == "password:change"


def test_it_says_where_everything_is(served: Served) -> None:
    """On its own port, which the issuer of tokens follows."""
    base = f"http://localhost:{served.port}"
    assert all(f"{base}{path}\n" in served.said for path in ("", "/docs", "/console"))
    assert served.ask("GET", "/.well-known/oauth-authorization-server")[1]["issuer"] == base


def test_it_keeps_its_data_to_itself(served: Served, folder: Path) -> None:
    """In a directory that its owner alone can enter (S-148)."""
    data = folder / "itemsapi-data"
    assert data.stat().st_mode & 0o777 == 0o700
    assert password(served) not in "".join(path.name for path in data.iterdir())


@pytest.mark.slow
def test_a_second_start_makes_nobody(tmp_path: Path) -> None:
    """Whoever is named: there is somebody already (S-043)."""
    assert serve(tmp_path, "--admin", "ada").stop() == 0
    again = serve(tmp_path, "--admin", "eve")
    assert (again.stop(), "Password" in again.said) == (0, False)


@pytest.mark.slow
def test_it_ends_requests_in_flight_before_it_ends_itself(tmp_path: Path) -> None:
    """SIGTERM refuses nobody who was let in (R-22)."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    held = {"ITEMSAPI_BLUEPRINTS": "support.large_views:heavy", "ITEMSAPI_DATA_DIR": str(tmp_path)}
    service = serve(tmp_path, "--admin", "ada", PYTHONPATH=path, **held)
    found: list[int] = []
    flight = threading.Thread(target=lambda: found.append(service.ask("GET", "/held/slow")[0]))
    flight.start()
    _until((tmp_path / "slow.here").exists)
    service.process.send_signal(signal.SIGTERM)
    (tmp_path / "slow.go").touch()
    code = service.stop()
    flight.join()
    assert (code, found) == (0, [200])
