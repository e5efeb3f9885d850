"""The blueprint of the README, from a folder that the command does not have on its path.

`test_documents.py` runs the commands of the README; here is what they refuse.
"""

import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.free_port import free_port
from support.installed import TIMEOUT_SECONDS, environment, run_command, wait_for_status

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8").split("## Put your own")[1]
MODULE, HOST = re.findall(r"```python\n(.*?)```", README.split("\n## ")[0], re.DOTALL)


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


def line_with(words: str, process: subprocess.Popen[str]) -> str:
    """Return the first line with these words; end the process if there is none in time."""
    watchdog = threading.Timer(TIMEOUT_SECONDS, process.kill)
    watchdog.start()
    assert process.stderr is not None
    try:
        found = next((line for line in process.stderr if words in line), "")
    finally:
        watchdog.cancel()
    assert found, f"no line with {words!r}"
    return found


@pytest.mark.parametrize("module", [MODULE, HOST])
def test_each_way_in_takes_ten_lines(module: str) -> None:
    """Blank lines do not count."""
    assert len([line for line in module.splitlines() if line.strip()]) <= 10


def test_a_decorator_above_the_route_stops_the_start(installed: Path, tmp_path: Path) -> None:
    """In one line that names it and says where it belongs: it would be skipped (S-001)."""
    response = "@orders.response(200, Order(many=True))\n"
    code = MODULE.replace(response, "").replace("@orders.get", f"{response}@orders.get")
    (tmp_path / "orders.py").write_text(code, "utf-8")
    done = run_command(
        installed,
        tmp_path,
        "serve",
        "--port",
        str(free_port()),
        ITEMSAPI_BLUEPRINTS="orders:orders",
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "@response stands above the route of list_orders; write it below" in done.stderr


def test_an_application_without_tables_says_how_to_make_them(
    installed: Path, tmp_path: Path
) -> None:
    """Its answers are 503 until then; the line at the terminal is a command that runs (R-35)."""
    (tmp_path / "shop.py").write_text(HOST, "utf-8")
    port = free_port()
    with run(installed, tmp_path, f"X=1 flask --app shop run --port {port}") as process:
        assert wait_for_status(port, "/.well-known/jwks.json", process) == 503
        (command,) = re.findall(r"and run `itemsapi (.+?)`", line_with("cause=", process))
        (tmp_path / "itemsapi-data").mkdir()
        assert run_command(installed, tmp_path, *command.split()).returncode == 0
        assert wait_for_status(port, "/health/live", process) == 404
        assert wait_for_status(port, "/.well-known/jwks.json", process) == 200


def test_serve_writes_the_access_log_of_an_application(installed: Path, tmp_path: Path) -> None:
    """It has no logging of its own, so the server writes the lines; without the query (S-150)."""
    (tmp_path / "shop.py").write_text(HOST, "utf-8")
    port = free_port()
    command = f"ITEMSAPI_ACCESS_LOG=on itemsapi --app shop:app serve --port {port}"
    with run(installed, tmp_path, command) as process:
        assert wait_for_status(port, "/orders?key=c4n4ry", process) == 401
        line = line_with(" request ", process)
    assert "method=GET path=/orders status=401 " in line


def test_a_missing_blueprint_stops_the_start(installed: Path, tmp_path: Path) -> None:
    """The one-line error says where it was searched (R-24)."""
    done = run_command(
        installed,
        tmp_path,
        "serve",
        "--port",
        str(free_port()),
        ITEMSAPI_BLUEPRINTS="orders:orders",
    )
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
