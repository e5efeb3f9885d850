"""The wheel contains everything that the installed service needs."""

import importlib.metadata
import json
import zipfile
from pathlib import Path

import pytest

import itemsapi


def files_below(folder: Path) -> set[str]:
    """Return the files below a folder, without `__pycache__`."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix() for path in files if path.parent.name != "__pycache__"
    }


def test_wheel_contains_every_file_of_the_package(wheel: zipfile.ZipFile, root: Path) -> None:
    """Templates, images and the docs UI are included."""
    expected = {f"itemsapi/{name}" for name in files_below(root / "src" / "itemsapi")}
    assert expected - set(wheel.namelist()) == set()


def test_wheel_contains_every_migration(wheel: zipfile.ZipFile, root: Path) -> None:
    """`itemsapi db upgrade` works without the repository."""
    expected = {f"itemsapi/migrations/{name}" for name in files_below(root / "migrations")}
    assert expected - set(wheel.namelist()) == set()


@pytest.mark.parametrize("name", ["py.typed", "__init__.py", "migrations/env.py"])
def test_wheel_contains_required_file(wheel: zipfile.ZipFile, name: str) -> None:
    """Type checkers need py.typed, Alembic needs env.py."""
    assert f"itemsapi/{name}" in wheel.namelist()


def test_wheel_contains_nothing_else(wheel: zipfile.ZipFile) -> None:
    """No tests, no tool configuration, nothing outside our package."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"itemsapi", f"itemsapi-{importlib.metadata.version('itemsapi')}.dist-info"}


def test_wheel_contains_the_license(wheel: zipfile.ZipFile) -> None:
    """The license must be redistributed with the wheel."""
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())


def test_tests_import_the_installed_wheel_when_tox_runs_them(root: Path) -> None:
    """The tests check the installed wheel, not the source folder."""
    direct_url = importlib.metadata.distribution("itemsapi").read_text("direct_url.json") or "{}"
    if json.loads(direct_url).get("dir_info", {}).get("editable"):
        pytest.skip("installed as editable, for development")
    assert not Path(itemsapi.__file__).is_relative_to(root / "src")


def test_command_is_installed_with_the_wheel() -> None:
    """The `itemsapi` command can be loaded."""
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="itemsapi")
    assert callable(command.load())


def test_pytest_finds_the_fixtures_of_the_wheel(wheel: zipfile.ZipFile) -> None:
    """Projects need no line in their `conftest.py` for them."""
    (name,) = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
    assert "[pytest11]\nitemsapi = itemsapi.testing.plugin" in wheel.read(name).decode()


def test_package_version_matches_the_wheel() -> None:
    """`itemsapi.__version__` and pyproject.toml agree."""
    assert itemsapi.__version__ == importlib.metadata.version("itemsapi")
