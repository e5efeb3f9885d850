"""The pages of the tutorial show its files as they are, and are the same in both languages.

After a change of a file of the tutorial, or of a block at a prompt on an English page, run this
file with `ITEMSAPI_TEST_WRITE=1`: it writes the blocks of the pages in both languages.
"""

import os
import re
from pathlib import Path

import pytest

from support.tutorial import DOCS, TRANSLATED, TUTORIAL, blocks, read, with_blocks

PAGES = [*sorted(TUTORIAL.glob("*.md"))]  # the last one is the index
LINK = re.compile(r"\]\(([^)\s#]+)")
HEADING = re.compile(r"^#+ ", re.MULTILINE)
FOLDERS = sorted(TUTORIAL.glob("step_*"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def written(page: Path, expected: str) -> str:
    """Return the text of a page, after it was written if that is asked for."""
    if os.environ.get("ITEMSAPI_TEST_WRITE"):
        page.write_text(expected, "utf-8")
    return page.read_text("utf-8")


def translation(page: Path) -> Path:
    """Return the same page in Japanese."""
    return TRANSLATED / page.name


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return with_blocks(page.read_text("utf-8"), iter([""] * 99))


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


@each_page
def test_a_page_shows_the_files_as_they_are(page: Path) -> None:
    """The files that the tests run, and the changes between them."""
    expected = with_blocks(page.read_text("utf-8"), iter([each.shown for each in blocks(page)]))
    assert written(page, expected) == expected


@each_page
def test_both_languages_show_the_same_blocks(page: Path) -> None:
    """Byte for byte, with the same comments above them."""
    shown, japanese = [each.shown for each in blocks(page)], translation(page)
    written(japanese, with_blocks(japanese.read_text("utf-8"), iter(shown)))
    assert blocks(japanese) == blocks(page)


@each_page
def test_both_languages_have_the_same_links_in_the_same_order(page: Path) -> None:
    """Links lead to the Japanese page where there is one."""
    expected = [translated(target) for target in targets(page)]
    assert targets(translation(page)) == expected


@each_page
def test_both_languages_have_the_same_headings(page: Path) -> None:
    """As many, of the same level."""
    assert HEADING.findall(prose(translation(page))) == HEADING.findall(prose(page))


@each_page
def test_each_block_is_run_or_says_why_not(page: Path) -> None:
    """By its comment."""
    told = [each.reason or each.options.get("by") for each in blocks(page)]
    assert [each for each in told if not each] == []


def test_each_file_of_the_tutorial_is_on_a_page() -> None:
    """So no file is there that no reader sees, and no test runs."""
    shown = {path for page in PAGES for each in blocks(page) for path in each.options.values()}
    files = {f"{each.parent.name}/{each.name}" for each in TUTORIAL.glob("step_*/*.*")}
    assert files - shown == set()


@pytest.mark.parametrize("step", range(1, len(FOLDERS)))
def test_insecure_code_says_so_in_its_first_line(step: int) -> None:
    """All steps but the last."""
    warning = "# INSECURE ON PURPOSE: a step of the tutorial. Do not use this code."
    assert {read(f"step_{step}/{name}").splitlines()[0] for name in apps(step)} == {warning}


def apps(step: int) -> list[str]:
    """Return the names of the applications of a step."""
    return [name for name in ("before.py", "app.py") if (TUTORIAL / f"step_{step}" / name).exists()]


def test_the_lines_are_as_many_as_the_last_page_says() -> None:
    """In both languages."""
    by_hand, layer = (len(read(f"step_{step}/app.py").splitlines()) for step in (11, 12))
    last = TUTORIAL / "12-layer.md"
    for page in (last, translation(last)):
        numbers = set(re.findall(r"\b\d{2,3}\b", prose(page)))
        assert {str(by_hand), str(layer)} <= numbers
