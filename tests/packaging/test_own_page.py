"""The README's "Put your own endpoint behind the gate", run word for word.

As by a user who has installed the wheel: with the console script (which, unlike `python -m`, does
not have the current directory on its path), in an empty folder, without `PYTHONPATH`.
"""

import json
import os
import re
import signal
import subprocess
import sysconfig
import threading
import time
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.command_line import free_port

TIMEOUT_SECONDS = 60  # on a busy machine
README = (Path(__file__).parents[2] / "README.md").read_text("utf-8").split("## Put your own")[1]
(SCRIPT,) = re.findall(r"^ITEMSAPI_BLUEPRINTS=.*$", README, re.MULTILINE)
(MODULE,) = re.findall(r"```python\n(.*?)```", README.split("\n## ")[0], re.DOTALL)
# The script that pip writes for a `console_scripts` entry point.
CONSOLE_SCRIPT = """#!{python}
import sys
from itemsapi.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.fixture(scope="session")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel next to the installed dependencies; return its `bin`."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    wheel.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = home / "bin" / "itemsapi"
    command.write_text(CONSOLE_SCRIPT.format(python=home / "bin" / "python"))
    command.chmod(0o755)
    return home / "bin"


def environment(installed: Path) -> dict[str, str]:
    """Return an environment without our settings and without Python's paths."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ITEMSAPI_", "PYTHON"))}
    return clean | {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def run(installed: Path, folder: Path, command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command line in a folder until the block ends."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"export {command.replace(' ', '; exec ', 1)}"],
        cwd=folder,
        env=environment(installed),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_SECONDS)


def wait_for_status(port: int, path: str, process: subprocess.Popen[str]) -> int:
    """Request a path until there is a response; return its status."""
    pause, ends = threading.Event(), time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                return int(answer.wait_for_status)
        except urllib.error.HTTPError as http_error:
            with http_error:
                return http_error.code
        except OSError:
            pause.wait(0.1)
    pytest.fail(
        f"the service does not respond: {process.communicate()[1] if process.poll() else ''}"
    )


def test_a_blueprint_in_the_current_directory_is_served(installed: Path, tmp_path: Path) -> None:
    """Every worker imports it; none would start without it (R-24, S-001)."""
    (tmp_path / "orders.py").write_text(MODULE, "utf-8")
    port = free_port()
    with run(installed, tmp_path, f"{SCRIPT} --port {port} --workers 2") as process:
        assert wait_for_status(port, "/orders", process) == 401


def run_command(
    installed: Path, folder: Path, *words: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run our command in a folder to its end."""
    return subprocess.run(
        [installed / "itemsapi", *words],
        cwd=folder,
        env=environment(installed) | more,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def test_a_missing_blueprint_stops_the_start(installed: Path, tmp_path: Path) -> None:
    """The one-line error says where it was searched (R-24)."""
    done = run_command(installed, tmp_path, "serve", ITEMSAPI_BLUEPRINTS="orders:orders")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No module named 'orders', neither installed nor in the current directory" in done.stderr


def test_the_current_directory_does_not_shadow_installed_packages(
    installed: Path, tmp_path: Path
) -> None:
    """It is last on the path: a file with the name of a package is not run."""
    (tmp_path / "orders.py").write_text(
        MODULE + "\nimport tabnanny, cachelib_is_not_here\n", "utf-8"
    )
    (tmp_path / "tabnanny.py").write_text("raise SystemExit('the wrong one')\n")
    done = run_command(installed, tmp_path, "access", ITEMSAPI_BLUEPRINTS="orders:orders")
    assert "No module named 'cachelib_is_not_here'" in done.stderr


def test_the_current_directory_is_searched_for_blueprints_only(
    installed: Path, tmp_path: Path
) -> None:
    """It is not on the path for the service's own imports."""
    (tmp_path / "orders.py").write_text(
        MODULE
        + "\nimport atexit, sys\natexit.register(lambda: print('' in sys.path, file=sys.stderr))\n"
    )
    done = run_command(installed, tmp_path, "access", "--json", ITEMSAPI_BLUEPRINTS="orders:orders")
    assert any(route["path"] == "/orders" for route in json.loads(done.stdout))
    assert done.stderr == "False\n"


def test_pythonsafepath_excludes_the_current_directory(installed: Path, tmp_path: Path) -> None:
    """Python's own switch applies here too."""
    (tmp_path / "orders.py").write_text(MODULE, "utf-8")
    safe = {"PYTHONSAFEPATH": "1", "ITEMSAPI_BLUEPRINTS": "orders:orders"}
    assert "No module named 'orders'" in run_command(installed, tmp_path, "access", **safe).stderr
