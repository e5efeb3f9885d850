"""The wheel carries all that the installed service needs."""

import importlib.metadata
import json
import zipfile
from pathlib import Path

import pytest

import itemsapi


def files_below(folder: Path) -> set[str]:
    """List the files below a folder, without what Python leaves behind."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix() for path in files if path.parent.name != "__pycache__"
    }


def test_wheel_carries_every_file_of_the_package(wheel: zipfile.ZipFile, root: Path) -> None:
    """Templates, pictures and the docs UI go along with the code."""
    expected = {f"itemsapi/{name}" for name in files_below(root / "src" / "itemsapi")}
    assert expected - set(wheel.namelist()) == set()


def test_wheel_carries_every_migration(wheel: zipfile.ZipFile, root: Path) -> None:
    """`itemsapi db upgrade` works without the repository."""
    expected = {f"itemsapi/migrations/{name}" for name in files_below(root / "migrations")}
    assert expected - set(wheel.namelist()) == set()


@pytest.mark.parametrize("name", ["py.typed", "__init__.py", "migrations/env.py"])
def test_wheel_carries_a_file_that_others_count_on(wheel: zipfile.ZipFile, name: str) -> None:
    """Type checkers look for py.typed, Alembic for env.py."""
    assert f"itemsapi/{name}" in wheel.namelist()


def test_wheel_carries_nothing_else(wheel: zipfile.ZipFile) -> None:
    """No tests, no settings of tools, nothing that would land beside other packages."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"itemsapi", f"itemsapi-{importlib.metadata.version('itemsapi')}.dist-info"}


def test_wheel_carries_the_licence(wheel: zipfile.ZipFile) -> None:
    """Whoever passes the wheel on can."""
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())


def test_tests_import_the_installed_wheel_when_tox_runs_them(root: Path) -> None:
    """What passes here is what people install, not the folder beside it."""
    direct_url = importlib.metadata.distribution("itemsapi").read_text("direct_url.json") or "{}"
    if json.loads(direct_url).get("dir_info", {}).get("editable"):
        pytest.skip("installed as editable, for development")
    assert not Path(itemsapi.__file__).is_relative_to(root / "src")


def test_command_is_installed_with_the_wheel() -> None:
    """The `itemsapi` command is the one documented."""
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="itemsapi")
    assert callable(command.load())


def test_package_tells_the_version_of_the_wheel() -> None:
    """`itemsapi.__version__` and pyproject.toml agree."""
    assert itemsapi.__version__ == importlib.metadata.version("itemsapi")
