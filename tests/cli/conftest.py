"""Shells before services that are set up, or are not."""

from pathlib import Path

import pytest

from support.command_line import Shell, shell_at


@pytest.fixture
def shell(database_url: str, tmp_path: Path) -> Shell:
    """A shell before an empty service on each database in turn."""
    return shell_at(tmp_path, database_url=database_url)


@pytest.fixture
def bare_shell(tmp_path: Path) -> Shell:
    """A shell before nothing at all: the data directory is not there yet."""
    return Shell({"data_dir": str(tmp_path / "data")})
