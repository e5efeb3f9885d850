"""The tutorial, done word for word by a reader: each page in a folder with the files before it.

With the installed wheel, by real processes. The Japanese pages show the same blocks, see
`test_tutorial_pages.py`.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest

from support.transcript import Terminal, commands, matches
from support.tutorial import TUTORIAL, Block, blocks, folder_after, saved

pytestmark = pytest.mark.slow

PAGES = [
    "01-start.md",
    "02-secret.md",
    "03-password.md",
    "04-refusals.md",
    "05-expiry.md",
    "06-every-endpoint.md",
    "07-scopes.md",
    "08-all-day.md",
    "09-sign-out.md",
    "10-thief.md",
    "11-two-tabs.md",
    "12-layer.md",
]


def test_each_page_of_the_tutorial_is_done() -> None:
    """In the order of their numbers."""
    assert sorted(page.name for page in TUTORIAL.glob("[0-9]*.md")) == PAGES


def follow(block: Block, terminal: Terminal, services: ExitStack) -> str:
    """Do what a block says; return what went wrong."""
    if file := saved(block):
        (terminal.folder / file[0]).write_text(file[1], "utf-8")
    elif url := block.options.get("serves"):
        services.close()
        services.enter_context(terminal.serving(commands(block.text), url))
    elif not block.reason:
        return run(block, terminal)
    return ""


def run(block: Block, terminal: Terminal) -> str:
    """Run the commands of a block; return the output if it is not as shown."""
    with ExitStack() as stack:
        if service := block.options.get("after"):
            stack.enter_context(terminal.serving(service, "localhost:8000/items"))
        output = terminal.output_of(commands(block.text))
    return "" if matches(block.text, output) else f"{block.text}\nis not\n\n{output}"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_tutorial_happens_as_it_says(
    name: str, installed: Path, tmp_path: Path
) -> None:
    """What it shows as broken fails, what it repairs passes, with the output that it shows."""
    earlier = [TUTORIAL / page for page in PAGES[: PAGES.index(name)]]
    for file, text in folder_after(earlier).items():
        (tmp_path / file).write_text(text, "utf-8")
    terminal = Terminal.in_folder(tmp_path, installed)
    with ExitStack() as services:
        wrong = [follow(block, terminal, services) for block in blocks(TUTORIAL / name)]
    assert "\n".join(each for each in wrong if each) == ""
