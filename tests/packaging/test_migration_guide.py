"""The guide to a blueprint with its own table, run word for word (but for the port).

As by a user who has installed the wheel: its shell blocks in order, in an empty folder.
"""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.command_line import free_port
from support.installed import TIMEOUT_SECONDS, environment, wait_for_status

GUIDE = (Path(__file__).parents[2] / "docs" / "migrations.md").read_text("utf-8")
MODULE, NEW_COLUMN = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
SETTINGS, MIGRATE, START, CALL, CHANGE, UNDO = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
LAST_COLUMN = "    placed_at: Mapped[datetime]\n"


@pytest.fixture(scope="module")
def project(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the guide was followed up to the first migration."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "orders.py").write_text(MODULE, "utf-8")
    run_block(installed, folder, MIGRATE)
    return folder


def run_block(installed: Path, folder: Path, block: str) -> str:
    """Run the commands of a block to their end; return their output."""
    done = subprocess.run(
        ["/bin/sh", "-ec", SETTINGS + block],
        cwd=folder,
        env=environment(installed),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@contextmanager
def serve(installed: Path, folder: Path, port: int) -> Iterator[None]:
    """Serve the project, as the guide starts it, until the block ends."""
    add_user, _, command = START.strip().rpartition("\n")
    run_block(installed, folder, add_user)
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"{SETTINGS}exec {command} --port {port}"],
        cwd=folder,
        env=environment(installed),
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


def parse_each(text: str) -> Iterator[Any]:
    """Parse JSON values that follow each other."""
    decoder, end = json.JSONDecoder(), 0
    while end < len(text):
        value, end = decoder.raw_decode(text, end)
        yield value


def test_the_endpoint_of_the_guide_stores_rows(installed: Path, project: Path) -> None:
    """The order that was placed is listed; without a token the response is a 401."""
    port = free_port()
    with serve(installed, project, port):
        output = run_block(installed, project, CALL.replace("8000", str(port)))
    placed, listed, refusal = parse_each(output)
    assert ([placed], placed["product"]) == (listed, "Desk lamp")
    assert refusal["code"] == "token_missing"


def test_the_table_of_the_guide_is_changed(installed: Path, project: Path) -> None:
    """The second migration adds the column."""
    changed = MODULE.replace(LAST_COLUMN, LAST_COLUMN + NEW_COLUMN)
    (project / "orders.py").write_text(changed, "utf-8")
    assert "_add_note.py" in run_block(installed, project, CHANGE)


def test_the_migrations_of_the_guide_are_undone_and_run_again(
    installed: Path, project: Path
) -> None:
    """Then the check passes."""
    assert run_block(installed, project, UNDO).endswith("The schema is up to date.\n")
