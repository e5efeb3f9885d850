"""Use the installed wheel as its users do: with its console script, in a folder of their own."""

import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

TIMEOUT_SECONDS = 60  # on a busy machine


def environment(installed: Path) -> dict[str, str]:
    """Return an environment without our settings and without Python's paths."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ITEMSAPI_", "PYTHON"))}
    return clean | {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"}


def wait_for_status(port: int, path: str, process: subprocess.Popen[str]) -> int:
    """Request a path until there is a response; return its status."""
    pause, ends = threading.Event(), time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
                return int(response.status)
        except urllib.error.HTTPError as http_error:
            with http_error:
                return http_error.code
        except OSError:
            pause.wait(0.1)
    pytest.fail(
        f"the service does not respond: {process.communicate()[1] if process.poll() else ''}"
    )


def run_command(
    installed: Path, folder: Path, *words: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run our command in a folder to its end."""
    return subprocess.run(  # noqa: S603 - our own command
        [installed / "itemsapi", *words],
        cwd=folder,
        env=environment(installed) | more,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
