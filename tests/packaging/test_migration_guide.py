"""The guide to tables and migrations of your own, run word for word but for the port.

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
MODULE, NEW_COLUMN, SHOP, ENVIRONMENT = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
SETTINGS, MIGRATE, START, CALL, CHANGE, UNDO = COMMANDS[:6]
ALEMBIC, SET_UP, IN_FLASK, START_SHOP, CALL_SHOP = COMMANDS[6:]
LAST_COLUMN = "    placed_at: Mapped[datetime]\n"


needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None and os.environ.get("CI") != "true", reason="needs curl"
)
on_both_databases = pytest.mark.parametrize(
    "shop",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
    indirect=True,
    scope="module",
)


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
            timeout=4 * TIMEOUT_SECONDS,  # of up to seven commands
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @contextmanager
    def serve(self, block: str, port: int, path: str) -> Iterator[None]:
        """Run a block whose last command serves the project, until the block ends."""
        before, _, command = block.strip().rpartition("\n")
        self.run(before)
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
            assert wait_for_status(port, path, process) == 200
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


@pytest.fixture(scope="module")
def shop(
    request: pytest.FixtureRequest, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The application of the guide with tables and an Alembic environment of its own."""
    folder, name = tmp_path_factory.mktemp("host"), f"shop_{new_id()[-12:]}"
    settings, server = "", ""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        execute(server, f"CREATE DATABASE {name}")
        url = url_of(server, name).replace("postgresql:", "postgresql+psycopg:")
        settings = f"export SHOP_DATABASE_URL='{url}'\n"
    project = Project(installed, folder, settings)
    (folder / "shop.py").write_text(SHOP, "utf-8")
    project.run(ALEMBIC)
    (folder / "alembic" / "env.py").write_text(ENVIRONMENT, "utf-8")
    project.run(SET_UP)
    yield project
    if server:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def parse_each(text: str) -> Iterator[Any]:
    """Parse JSON values that follow each other."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:]


@needs_curl
def test_the_endpoint_of_the_guide_stores_rows(project: Project) -> None:
    """The order that was placed is listed; without a token the response is a 401."""
    port = free_port()
    with project.serve(START, port, "/health/ready"):
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


@needs_curl
@on_both_databases
def test_the_shop_of_the_guide_stores_orders(shop: Project) -> None:
    """Alembic finds nothing of ours, and the commands find the application."""
    port = free_port()
    with shop.serve(START_SHOP, port, "/.well-known/jwks.json"):
        output = shop.run(CALL_SHOP.replace("8000", str(port)))
    placed, listed, refusal = parse_each(output)
    assert (placed, listed) == ({"product": "Desk lamp"}, ["Desk lamp"])
    assert refusal["code"] == "token_missing"


@on_both_databases
def test_the_migration_of_the_shop_has_only_its_own_table(shop: Project) -> None:
    """The one that Alembic wrote."""
    (migration,) = (shop.folder / "alembic" / "versions").glob("*_add_orders.py")
    assert "itemsapi" not in migration.read_text("utf-8")


@on_both_databases
def test_the_commands_of_the_shop_are_commands_of_flask(shop: Project) -> None:
    """They show the user and the revision."""
    output = shop.run(IN_FLASK)
    assert ("ada" in output, "The database is at revision" in output) == (True, True)
