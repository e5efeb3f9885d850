"""The pages of the tutorial agree with each other, and are the same in both languages.

`test_documents.py` does what they say. After a change of a block on an English page, run this file
with `ITEMSAPI_TEST_WRITE=1`: it writes the whole programs at the ends of the pages, and the blocks
of the Japanese pages.
"""

import os
import re
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from support.document_blocks import Block, apply_changes, read_blocks, with_texts

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial"
PAGES = [*sorted(TUTORIAL.glob("*.md"))]  # the last one is the index
LINK = re.compile(r"\]\(([^)\s#]+)")
HEADING = re.compile(r"^#+ ", re.MULTILINE)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page."""
    return read_blocks(ROOT, str(page.relative_to(ROOT)))


def written(page: Path, texts: list[str]) -> list[Block]:
    """Return the blocks of a page, after these texts were written into it if that is asked for."""
    if os.environ.get("ITEMSAPI_TEST_WRITE"):
        page.write_text(with_texts(page.read_text("utf-8"), texts), "utf-8")
    return blocks_of(page)


def translation(page: Path) -> Path:
    """Return the same page in Japanese."""
    return DOCS / "ja" / "tutorial" / page.name


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return with_texts(page.read_text("utf-8"), repeat(""))


def targets(page: Path) -> list[str]:
    """Return the files that a page links to, from `docs`."""
    links = [link for link in LINK.findall(prose(page)) if "://" not in link]
    return [os.path.relpath((page.parent / link).resolve(), DOCS) for link in links]


def translated(target: str) -> str:
    """Return what a Japanese page links to where an English one has this link."""
    if target.startswith("ja/"):  # the index links to the other language
        return target.removeprefix("ja/")
    japanese = f"ja/{target}"
    return japanese if (DOCS / japanese).exists() else target.replace(".svg", ".ja.svg")


def followed() -> Iterator[tuple[Block, str]]:
    """Yield each block of the tutorial, with `app.py` as it is after the block."""
    program = ""
    for page in PAGES:
        before = program
        for block in blocks_of(page):
            if is_program(block) and program == before:
                program = block.text
            elif block.language == "diff":
                program = apply_changes(program, block.text)
            yield block, program


def is_program(block: Block) -> bool:
    """Return whether a block shows the whole program."""
    return block.language == "python" and block.options.get("file") == "app.py"


def programs() -> list[str]:
    """Return `app.py` after each page."""
    after = {block.document: program for block, program in followed()}
    return [after[str(page.relative_to(ROOT))] for page in PAGES[:-1]]


@each_page
def test_the_whole_program_is_what_the_changes_on_the_page_make(page: Path) -> None:
    """So a reader may apply the changes, or copy the whole program."""
    blocks = [(block, program) for block, program in followed() if ROOT / block.document == page]
    shown = [program if is_program(block) else block.text for block, program in blocks]
    assert [block.text for block in written(page, shown)] == shown


@each_page
def test_both_languages_show_the_same_blocks(page: Path) -> None:
    """Byte for byte, with the same comments above them."""
    english = blocks_of(page)
    japanese = written(translation(page), [block.text for block in english])
    told = [
        [(each.language, each.text, each.options, each.reason_not_to_run) for each in blocks]
        for blocks in (japanese, english)
    ]
    assert told[0] == told[1]


@each_page
def test_both_languages_have_the_same_links_in_the_same_order(page: Path) -> None:
    """Links lead to the Japanese page where there is one."""
    expected = [translated(target) for target in targets(page)]
    assert targets(translation(page)) == expected


@each_page
def test_both_languages_have_the_same_headings(page: Path) -> None:
    """As many, of the same level."""
    assert HEADING.findall(prose(translation(page))) == HEADING.findall(prose(page))


def test_insecure_code_says_so_in_its_first_line() -> None:
    """All programs but the last."""
    warning = "# INSECURE ON PURPOSE: a step of the tutorial. Do not use this code."
    *insecure, layer = [text.splitlines()[0] for text in programs()]
    assert ({*insecure}, layer) == ({warning}, "from flask import Flask")


def test_the_lines_are_as_many_as_the_last_page_says() -> None:
    """In both languages."""
    by_hand, layer = (len(text.splitlines()) for text in programs()[-2:])
    last = TUTORIAL / "12-layer.md"
    for page in (last, translation(last)):
        numbers = set(re.findall(r"\b\d{2,3}\b", prose(page)))
        assert {str(by_hand), str(layer)} <= numbers
