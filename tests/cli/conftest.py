"""Shells for services that are set up, and for services that are not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command_line import Shell, shell_at
from support.postgres_database import new_database


@pytest.fixture
def shell(database_url: str, tmp_path: Path) -> Shell:
    """A shell for an empty service, on each database in turn."""
    return shell_at(tmp_path, database_url=database_url)


@pytest.fixture
def bare_shell(tmp_path: Path) -> Shell:
    """A shell without a database; the data directory does not exist yet."""
    return Shell({"data_dir": str(tmp_path / "data")})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def own_shell(shell: Shell, project: Path) -> Shell:
    """A shell in the project, whose migrations are in the folder `migrations`."""
    return shell.with_settings(migrations="migrations")


@pytest.fixture
def new_database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if dialect == "sqlite":
        (tmp_path / "new.db").touch()
        yield f"sqlite:///{tmp_path}/new.db"
        return
    with new_database(request.getfixturevalue("postgres_server")) as url:
        yield url
