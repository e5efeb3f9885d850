"""The example of the guide, `docs/examples/verify`, run word for word."""

import os
import signal
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path

import pytest

from support.free_port import free_port

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "verify"
TIMEOUT_SECONDS = 240


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a step of CI does, on a free port; end all that it started.

    Its output goes to a file: at a timeout a process that it started would hold a pipe open.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PORT": str(free_port()), **variables}
    with (folder / "output").open("w+") as output:
        process = subprocess.Popen(  # noqa: S603 - our own script
            [folder / "ci.sh"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(TIMEOUT_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return subprocess.CompletedProcess(process.args, code, (folder / "output").read_text())


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example."""
    for name in ("ci.sh", "verify.toml"):
        (tmp_path / name).write_bytes((EXAMPLE / name).read_bytes())
        (tmp_path / name).chmod(0o755)
    return tmp_path


def test_the_example_proves_the_service(example: Path) -> None:
    """It exits with 0, and the report for CI has no failure."""
    done = run(example)
    assert done.returncode == 0, done.stdout
    assert ET.parse(example / "verify.xml").findall(".//failure") == []  # noqa: S314 - our own file


def test_the_example_fails_when_an_operation_is_public_by_mistake(example: Path) -> None:
    """A public operation that the settings do not name: exit code 1, and a line with its name."""
    settings = (example / "verify.toml").read_text().replace('"POST /oauth/revoke"', "")
    (example / "verify.toml").write_text(settings)
    done = run(example)
    assert (done.returncode, "POST /oauth/revoke" in done.stdout) == (1, True)


def test_the_example_says_why_when_the_service_does_not_start(example: Path) -> None:
    """The log of the service is shown, and the exit code is that of wrong usage."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        done = run(example, PORT=port)
    assert (done.returncode, f":{port}: Address already in use" in done.stdout) == (2, True)
