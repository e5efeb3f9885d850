"""The commands, settings and environments that the text of a document names exist."""

import configparser
import dataclasses
import re
import shlex
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from itemsapi.cli import main
from itemsapi.settings import ENV_PREFIX, Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [page for page in PAGES if page.name != "CHANGELOG.md"]  # it tells of the past
SETTINGS = {f"{ENV_PREFIX}{field.name.upper()}" for field in dataclasses.fields(Settings)}


def inline_code(page: Path) -> list[str]:
    """Return the code in the sentences and tables of a page."""
    tokens = MarkdownIt().enable("table").parse(page.read_text("utf-8"))
    children = (child for token in tokens for child in token.children or [])
    return [child.content for child in children if child.type == "code_inline"]


def fault_of(line: str) -> str:
    """Return a command line of ours with its first unknown word; nothing if it has none."""
    command: click.Command = main
    words = iter(shlex.split(line)[1:])
    for word in words:
        if word.startswith("-"):
            if word.partition("=")[0] not in options_of(command):
                return f"{line}: {word}"
            if word == "--app":
                next(words)
        elif isinstance(command, click.Group):
            if not word.islower():
                return ""  # COMMAND or dots: any one
            below = command.get_command(click.Context(command), word)
            if below is None:
                return f"{line}: {word}"
            command = below
    return ""


def options_of(command: click.Command) -> set[str]:
    """Return all options of a command."""
    parameters = command.params
    names = {name for each in parameters for name in (*each.opts, *each.secondary_opts)}
    return names | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_in_the_text_exist(page: Path) -> None:
    """With their options."""
    lines = [code for code in inline_code(page) if re.match(r"itemsapi [a-z-]", code)]
    assert [fault for line in lines if (fault := fault_of(line))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_settings_in_the_text_exist(page: Path) -> None:
    """Those of the service; the test suite has some of its own."""
    named = re.findall(r"\bITEMSAPI_[A-Z_]*[A-Z]\b", page.read_text("utf-8"))
    ours = {name for name in named if not name.startswith("ITEMSAPI_TEST_")}
    assert ours - SETTINGS == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_environments_in_the_text_exist(page: str) -> None:
    """Of each `./test -e NAME`; those of the Pythons have no section of their own."""
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    known = {section.removeprefix("testenv:") for section in tox.sections()}
    named = re.findall(r"\./test -e ([\w,-]+)", (ROOT / page).read_text("utf-8"))
    wanted = {name for names in named for name in names.split(",") if not name.startswith("py")}
    assert wanted - known == set()
