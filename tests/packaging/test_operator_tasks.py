"""Tasks of operators: the commands of docs/operations.md, as processes with the installed wheel."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.installed import environment
from support.postgres_database import new_database
from support.postgres_programs import path_with_postgres_programs

SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PASSWORD = "plain horse battery staple"

pytestmark = pytest.mark.slow


def commands(root: Path, section: str) -> list[str]:
    """Return the shell blocks of a section, in order."""
    text = (root / "docs" / "operations.md").read_text("utf-8")
    (body,) = (body for title, body in SECTION.findall(text) if title == section)
    return list(SHELL_BLOCK.findall(body))


class Operator:
    """A folder with a service, and the terminal of its operator."""

    def __init__(self, installed: Path, folder: Path) -> None:
        """Begin with a database, and the user ada in it."""
        search = os.pathsep.join([str(installed), path_with_postgres_programs()])
        self.folder, self.environment = folder, environment(installed) | {"PATH": search}
        self.run("itemsapi db upgrade")
        self.run(f"echo '{PASSWORD}' | itemsapi users add ada --role member --password-stdin")

    def run(self, block: str) -> str:
        """Run a block, and stop at the first command that fails; return the output."""
        done = subprocess.run(
            ["/bin/sh", "-ec", block],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def operator(installed: Path, tmp_path: Path) -> Operator:
    """An operator with SQLite."""
    return Operator(installed, tmp_path)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    with new_database(postgres_server) as url:
        yield url


def test_a_database_is_backed_up_and_restored_as_documented(root: Path, operator: Operator) -> None:
    """Also with the command for those who restore by other programs."""
    backup, restore, after = commands(root, "Backup and restore")
    operator.run(backup)
    operator.run("itemsapi users add eve --role member")
    operator.run(restore)
    assert "eve" not in operator.run("itemsapi users list")
    assert operator.run(after).startswith("All sessions ended; ")


def test_a_database_is_upgraded_as_documented(root: Path, operator: Operator) -> None:
    """With the check and the recount at the end."""
    before, after = commands(root, "Upgrades")
    assert "this version needs" in operator.run(before)
    assert operator.run(after).startswith("The schema is up to date.\n")


@pytest.mark.postgres
def test_sqlite_is_copied_to_postgresql_as_documented(
    root: Path, operator: Operator, postgres_url: str
) -> None:
    """The URL is another one; everything else is as it is written."""
    (block,) = commands(root, "From SQLite to PostgreSQL")
    documented = "postgresql://itemsapi:...@db.example/itemsapi"
    out = operator.run(block.replace(documented, f"'{postgres_url}'") + "itemsapi users list\n")
    assert "and compared all of them.\n" in out
    assert "ok     database: reachable, and the schema is up to date" in out
    assert "ada" in out.splitlines()[-1]
