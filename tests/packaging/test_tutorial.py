"""The tutorial, done word for word by a reader: each page in a folder with the files before it.

With the installed wheel, by real processes. The Japanese pages show the same blocks, see
`test_tutorial_pages.py`.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest

from support.transcript import Terminal, commands, matches, service_command
from support.tutorial import PAGES, Block, blocks, folder_before, saved

pytestmark = pytest.mark.slow


def follow(block: Block, terminal: Terminal, services: ExitStack) -> str | None:
    """Do what a block says; return what went wrong."""
    if file := saved(block):
        (terminal.folder / file[0]).write_text(file[1], "utf-8")
    elif block.comment == "run serves":
        services.close()
        services.enter_context(terminal.serving(commands(block.text), "/items"))
    elif block.words[0] == "run":
        return run(block, terminal)
    return None


def run(block: Block, terminal: Terminal) -> str | None:
    """Run the commands of a block; return the output if it is not as shown."""
    with ExitStack() as stack:
        if service := service_command(block.comment):
            stack.enter_context(terminal.serving(service, "/items"))
        output = terminal.output_of(commands(block.text))
    return None if matches(block.text, output) else f"{block.text}\nis not\n\n{output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_of_the_tutorial_happens_as_it_says(
    page: Path, installed: Path, tmp_path: Path
) -> None:
    """What it shows as broken fails, what it repairs passes, with the output that it shows."""
    for name, text in folder_before(page).items():
        (tmp_path / name).write_text(text, "utf-8")
    terminal = Terminal.in_folder(tmp_path, installed)
    with ExitStack() as services:
        wrong = [follow(block, terminal, services) for block in blocks(page)]
    assert [each for each in wrong if each] == []
