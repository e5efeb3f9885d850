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
