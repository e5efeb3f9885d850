"""A restore on PostgreSQL whose process is killed in the middle: no handler of ours runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from support.app_factory import Backend
from support.command_line import Shell, shell_at
from support.postgres_database import LOCKED_OUT, count_connections
from support.postgres_programs import path_with_postgres_programs
from support.service import wait_until

LARGE_TABLE = "CREATE TABLE theirs AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 3000)"
PSQL = "application_name = 'psql'"

pytestmark = [pytest.mark.postgres, pytest.mark.dialect("postgresql")]


@pytest.fixture
def shell(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell that finds the programs of PostgreSQL."""
    monkeypatch.setenv("PATH", path_with_postgres_programs())
    return shell_at(tmp_path, database_url=database_url)


@contextmanager
def restoring(shell: Shell, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Restore a backup in a process of its own."""
    settings = {f"ITEMSAPI_{name.upper()}": value for name, value in shell.settings.items()}
    command = [sys.executable, "-m", "itemsapi", "db", "restore", str(file), "--replace"]
    with subprocess.Popen(command, env=os.environ | settings, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        yield process


def test_a_restore_changes_nothing_when_it_is_killed(
    shell: Shell, backend: Backend, database_url: str, tmp_path: Path
) -> None:
    """R-07: at the end of its input psql would commit the half that it has, and bring back tokens.

    A reader holds psql up at its first table, with more data behind than a pipe takes.
    """
    with psycopg.connect(database_url) as reader:
        reader.execute(LARGE_TABLE)
        reader.commit()
        shell.run("db", "backup", str(tmp_path / "backup"))
        backend.create_user("ada", "member")
        reader.execute("SELECT FROM itemsapi_user")
        with restoring(shell, tmp_path / "backup") as process:
            wait_until(lambda: count_connections(database_url, LOCKED_OUT) > 0, 60)
            process.send_signal(signal.SIGKILL)
    wait_until(lambda: count_connections(database_url, PSQL) == 0, 60)
    assert backend.login("ada")
