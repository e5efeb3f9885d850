"""What README, CONTRIBUTING and the other pages say is so."""

import configparser
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?!\w+:|#)([^)#\s]+)")


@pytest.mark.parametrize("command", ["./run", "./test"])
def test_readme_has_the_command_in_a_block_of_its_own(root: Path, command: str) -> None:
    """One line, word for word, does it all."""
    blocks = SHELL_BLOCK.findall((root / "README.md").read_text())
    assert f"{command}\n" in blocks


@pytest.mark.parametrize("command", ["run", "test"])
def test_command_of_the_readme_can_be_started(root: Path, command: str) -> None:
    """It may be executed, and a shell understands it."""
    assert os.access(root / command, os.X_OK)
    subprocess.run(["/bin/sh", "-n", str(root / command)], check=True, timeout=60)


@pytest.mark.parametrize("page", PAGES)
def test_shell_block_parses(root: Path, page: str) -> None:
    """Whoever pastes a block gets no syntax error."""
    for block in SHELL_BLOCK.findall((root / page).read_text()):
        subprocess.run(["/bin/sh", "-n"], input=block, text=True, check=True, timeout=60)


@pytest.mark.parametrize("page", PAGES)
def test_link_leads_to_a_file(root: Path, page: str) -> None:
    """No link into the repository is dead."""
    targets = LINK.findall((root / page).read_text())
    assert [target for target in targets if not (root / target).exists()] == []


def test_environment_of_contributing_exists(root: Path) -> None:
    """Every `./test -e NAME` that CONTRIBUTING tells is known to tox."""
    tox = configparser.ConfigParser()
    tox.read(root / "tox.ini")
    told = set(re.findall(r"\./test -e ([\w-]+)", (root / "CONTRIBUTING.md").read_text()))
    known = {section.removeprefix("testenv:") for section in tox.sections()}
    assert told - known - {"py313"} == set()


def test_changelog_has_the_current_version(root: Path) -> None:
    """A release without its words for users is not made."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version} " in (root / "CHANGELOG.md").read_text()
