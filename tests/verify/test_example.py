"""The example of the guide, `docs/examples/verify`, run word for word."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from support.command_line import free_port

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "verify"
TIMEOUT_SECONDS = 240


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a step of CI does, on a free port."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PORT": str(free_port()), **variables}
    return subprocess.run(  # noqa: S603 - our own script
        [folder / "ci.sh"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )


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
    assert done.returncode == 0, done.stdout + done.stderr
    assert ET.parse(example / "verify.xml").findall(".//failure") == []  # noqa: S314 - our own file


def test_the_example_fails_when_an_operation_is_public_by_mistake(example: Path) -> None:
    """A public operation that the settings do not name: exit code 1, and a line with its name."""
    settings = (example / "verify.toml").read_text().replace('"POST /oauth/revoke"', "")
    (example / "verify.toml").write_text(settings)
    done = run(example)
    assert (done.returncode, "POST /oauth/revoke" in done.stdout) == (1, True)
