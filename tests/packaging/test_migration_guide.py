"""The guide to a blueprint with its own table, run word for word but for the port.

As by a user who has installed the wheel: its shell blocks in order, in an empty folder.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from itemsapi.clock import new_id
from support.command_line import free_port
from support.installed import TIMEOUT_SECONDS, environment, wait_for_status
from support.postgres_database import execute, url_of

GUIDE = (Path(__file__).parents[2] / "docs" / "migrations.md").read_text("utf-8")
MODULE, NEW_COLUMN = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
SETTINGS, MIGRATE, START, CALL, CHANGE, UNDO = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
LAST_COLUMN = "    placed_at: Mapped[datetime]\n"


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with the files of the guide, and the settings of its shell."""

    installed: Path
    folder: Path
    settings: str

    def run(self, block: str) -> str:
        """Run the commands of a block to their end; return their output."""
        done = subprocess.run(
            ["/bin/sh", "-ec", self.settings + block],
            cwd=self.folder,
            env=environment(self.installed),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @contextmanager
    def serve(self, port: int) -> Iterator[None]:
        """Add the user and serve the project until the block ends."""
        add_user, _, command = START.strip().rpartition("\n")
        self.run(add_user)
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"{self.settings}exec {command} --port {port}"],
            cwd=self.folder,
            env=environment(self.installed),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert wait_for_status(port, "/health/ready", process) == 200
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=TIMEOUT_SECONDS)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)
def settings(request: pytest.FixtureRequest) -> Iterator[str]:
    """The settings of the guide, and those of a PostgreSQL database."""
    if request.param == "sqlite":
        yield SETTINGS
        return
    server, name = request.getfixturevalue("postgres_server"), f"guide_{new_id()[-12:]}"
    execute(server, f"CREATE DATABASE {name}")
    yield f"{SETTINGS}export ITEMSAPI_DATABASE_URL='{url_of(server, name)}'\n"
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def project(installed: Path, settings: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which the guide was followed up to the first migration."""
    project = Project(installed, tmp_path_factory.mktemp("shop"), settings)
    (project.folder / "orders.py").write_text(MODULE, "utf-8")
    project.run(MIGRATE)
    return project


def parse_each(text: str) -> Iterator[Any]:
    """Parse JSON values that follow each other."""
    decoder, end = json.JSONDecoder(), 0
    while end < len(text):
        value, end = decoder.raw_decode(text, end)
        yield value


@pytest.mark.skipif(
    shutil.which("curl") is None and os.environ.get("CI") != "true", reason="needs curl"
)
def test_the_endpoint_of_the_guide_stores_rows(project: Project) -> None:
    """The order that was placed is listed; without a token the response is a 401."""
    port = free_port()
    with project.serve(port):
        output = project.run(CALL.replace("8000", str(port)))
    placed, listed, refusal = parse_each(output)
    assert ([placed], placed["product"]) == (listed["items"], "Desk lamp")
    assert refusal["code"] == "token_missing"


def test_the_table_of_the_guide_is_changed(project: Project) -> None:
    """The second migration adds the column."""
    changed = MODULE.replace(LAST_COLUMN, LAST_COLUMN + NEW_COLUMN)
    (project.folder / "orders.py").write_text(changed, "utf-8")
    assert "_add_note.py" in project.run(CHANGE)


def test_the_migrations_of_the_guide_are_undone_and_run_again(project: Project) -> None:
    """Then the check passes."""
    assert project.run(UNDO).endswith("The schema is up to date.\n")
