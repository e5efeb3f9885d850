"""The commands of README, CONTRIBUTING and the other pages are scripts that a shell can read."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("command", ["./run", "./test"])
def test_readme_shows_the_command(root: Path, command: str) -> None:
    """The command is one line of a shell block."""
    blocks = SHELL_BLOCK.findall((root / "README.md").read_text())
    assert f"{command}\n" in blocks


@pytest.mark.parametrize("command", ["run", "test"])
def test_command_of_the_readme_is_executable(root: Path, command: str) -> None:
    """The script is executable, and a shell can parse it."""
    assert os.access(root / command, os.X_OK)
    subprocess.run(["/bin/sh", "-n", str(root / command)], check=True, timeout=60)


@pytest.mark.parametrize("page", PAGES)
def test_shell_block_parses(root: Path, page: str) -> None:
    """Pasted blocks have no syntax error."""
    for block in SHELL_BLOCK.findall((root / page).read_text()):
        subprocess.run(["/bin/sh", "-n"], input=block, text=True, check=True, timeout=60)


def test_changelog_has_the_current_version(root: Path) -> None:
    """A release needs an entry in the changelog."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version} " in (root / "CHANGELOG.md").read_text()
