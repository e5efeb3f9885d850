"""Tasks of operators: the commands of docs/operations.md, on machines of their own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.document_blocks import read_blocks
from support.production import open_production, production_database
from support.terminals import Machine, Terminal, open_machine

PAGE = "docs/operations.md"
READY = "localhost:8000/health/ready"
FIRST_START = """
itemsapi db upgrade
echo 'plain horse battery staple' | itemsapi users add ada --role member --password-stdin
"""

pytestmark = pytest.mark.slow


def commands(root: Path, section: str) -> list[str]:
    """Return the shell blocks of a section, in order."""
    blocks = read_blocks(root, PAGE)
    return [block.text for block in blocks if (block.section, block.language) == (section, "sh")]


@pytest.fixture
def machine(installed: Path) -> Iterator[Machine]:
    """A machine with nothing but the wheel."""
    with open_machine(installed) as opened:
        yield opened


@pytest.fixture
def terminal(machine: Machine) -> Terminal:
    """The terminal of an operator whose service has a database, and the user ada in it."""
    opened = machine.terminal("service", 1)
    opened.run(FIRST_START)
    return opened


def test_a_database_is_backed_up_and_restored_as_documented(root: Path, terminal: Terminal) -> None:
    """Also with the command for those who restore by other programs."""
    backup, restore, after = commands(root, "Backup and restore")
    terminal.run(backup)
    terminal.run("itemsapi users add eve --role member")
    terminal.run(restore)
    assert "eve" not in terminal.run("itemsapi users list")
    assert "All sessions ended; " in terminal.run(after)


def test_a_database_is_upgraded_as_documented(root: Path, terminal: Terminal) -> None:
    """With the check and the recount at the end."""
    before, after = commands(root, "Upgrades")
    assert "this version needs" in terminal.run(before)
    assert terminal.run(after).startswith("The schema is up to date.\n")


@pytest.mark.postgres
def test_sqlite_is_copied_to_postgresql_as_documented(
    root: Path, installed: Path, postgres_server: str
) -> None:
    """To an empty database on another host."""
    (block,) = commands(root, "From SQLite to PostgreSQL")
    with (
        production_database(postgres_server),
        open_production(installed, postgres_server) as machine,
    ):
        terminal = machine.terminal("service", 1)
        terminal.run(FIRST_START)
        out = terminal.run(f"{block}\nitemsapi users list")
    assert "and compared all of them.\n" in out
    assert "ok     database: reachable, and the schema is up to date" in out
    assert "ada" in out.splitlines()[-1]


@pytest.fixture
def start(root: Path) -> str:
    """The commands that the page gives for each start, the first one too."""
    (chain,) = re.findall(r"`(itemsapi check && [^`]*serve)`", (root / PAGE).read_text("utf-8"))
    return str(chain)


def test_the_commands_of_a_start_serve_when_there_is_no_database(
    machine: Machine, start: str
) -> None:
    """`check` only warns of it (R-24)."""
    assert "Next: " in machine.terminal("service", 1).serve(start, READY)


def test_the_commands_of_a_start_serve_when_the_tables_are_old(
    root: Path, machine: Machine, start: str
) -> None:
    """Here those of an own blueprint; they are upgraded (R-24)."""
    model, settings, migration, *_ = read_blocks(root, "docs/migrations.md")
    terminal = machine.terminal("service", 1)
    (terminal.folder / model.options["file"]).write_text(model.text, "utf-8")
    terminal.run(settings.text + migration.text)
    terminal.run("itemsapi db downgrade base --blueprints --yes")
    assert "Next: `itemsapi db upgrade`." in terminal.serve(start, READY)
