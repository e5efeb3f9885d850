"""The blueprint of the README, from a folder that the command does not have on its path.

`test_documents.py` runs the commands of the README; here is what they refuse.
"""

import json
import re
from pathlib import Path

import pytest

from support.installed import run_command

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8").split("## Put your own")[1]
MODULE, HOST = re.findall(r"```python\n(.*?)```", README.split("\n## ")[0], re.DOTALL)


@pytest.mark.parametrize("module", [MODULE, HOST])
def test_each_way_in_takes_ten_lines(module: str) -> None:
    """Blank lines do not count."""
    assert len([line for line in module.splitlines() if line.strip()]) <= 10


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
