"""Run applications of four frameworks, each with one planted fault, and verify them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from support.free_port import free_port

APPS = Path(__file__).parent / "apps"
START_TIMEOUT_SECONDS = 60.0  # on a busy machine
VERIFY_TIMEOUT_SECONDS = 180
FOREIGN_PYTHON = "ITEMSAPI_TEST_VERIFY_PYTHON"
PASSWORD = "plain horse battery staple"


@dataclass
class Verified:
    """The result of `itemsapi verify --json`."""

    code: int
    report: dict[str, Any] = field(default_factory=dict)

    def outcomes(self, outcome: str) -> set[tuple[str, str]]:
        """Return the operations and attacks with an outcome."""
        findings = self.report["findings"]
        return {(f["operation"], f["attack"]) for f in findings if f["outcome"] == outcome}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests in this folder."""
    folder_of_tests = Path(__file__).parent
    for item in items:
        if folder_of_tests in item.path.parents:
            item.add_marker(pytest.mark.verify)


@pytest.fixture(scope="session")
def foreign_python() -> str:
    """The Python with the other frameworks; without it tests are skipped, except in CI."""
    python = os.environ.get(FOREIGN_PYTHON, "")
    if not python:
        missing = f"{FOREIGN_PYTHON} names no Python with tests/verify/apps/requirements.txt"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    return python


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[[str, str, str], str]]:
    """Start an application with a fault; return its address. Each is ended after the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(python: str, app: str, fault: str) -> str:
        port = free_port()
        command = [python, str(APPS / f"{app}_app.py"), str(port), fault]
        with (tmp_path / "log").open("wb") as log:
            processes.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log))  # noqa: S603 - our own program
        wait_until_ready(f"http://127.0.0.1:{port}/openapi.json", processes[-1], tmp_path / "log")
        return f"http://127.0.0.1:{port}/openapi.json"

    yield start
    for process in processes:
        process.terminate()
        process.wait(30)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the document is served."""
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        with suppress(OSError), urlopen(url) as answer:  # noqa: S310 - http, on this machine
            if answer.status == 200:
                return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., Verified]:
    """Run `itemsapi verify` on an address with the settings in a file."""

    def run(url: str, settings: str) -> Verified:
        (tmp_path / "verify.toml").write_text(settings)
        environment = {
            **os.environ,
            "VERIFY_PASSWORD": PASSWORD,
            "VERIFY_OTHER_PASSWORD": PASSWORD,
        }
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "itemsapi", "verify", url, "--json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=VERIFY_TIMEOUT_SECONDS,
        )
        assert done.stdout, done.stderr
        return Verified(done.returncode, json.loads(done.stdout))

    return run
