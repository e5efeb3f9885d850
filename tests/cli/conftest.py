"""Shells for services that are set up, and for services that are not."""

from pathlib import Path

import pytest

from support.command_line import Shell, shell_at


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
