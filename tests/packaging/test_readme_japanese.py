"""README.ja.md: the same commands, headings and links as README.md.

After a change of a code block of README.md, run this file with `ITEMSAPI_TEST_WRITE=1`: it writes
the blocks of README.ja.md. What else has changed must be translated.
"""

import os
import re
from itertools import repeat
from pathlib import Path

from support.document_blocks import read_blocks, with_texts

ROOT = Path(__file__).parents[2]
ENGLISH, JAPANESE = ROOT / "README.md", ROOT / "README.ja.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ ", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")


def texts(page: Path) -> list[str]:
    """Return the commands, outputs and programs of a page."""
    return [block.text for block in read_blocks(ROOT, page.name)]


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return with_texts(page.read_text("utf-8"), repeat(""))


def translated(link: str) -> str:
    """Return what the Japanese README links to where the English one has this link."""
    if link.endswith(".svg"):
        return link.replace(".svg", ".ja.svg")
    japanese = link.replace("README.ja.md", "README.md").replace("docs/", "docs/ja/")
    return japanese if (ROOT / japanese.partition("#")[0]).is_file() else link


def test_the_japanese_readme_shows_the_same_blocks() -> None:
    """Commands, answers and programs, byte for byte."""
    shown = texts(ENGLISH)
    if os.environ.get("ITEMSAPI_TEST_WRITE"):
        JAPANESE.write_text(with_texts(JAPANESE.read_text("utf-8"), shown), "utf-8")
    assert texts(JAPANESE) == shown


def test_the_japanese_readme_has_the_same_headings() -> None:
    """As many, of the same level."""
    assert HEADING.findall(prose(JAPANESE)) == HEADING.findall(prose(ENGLISH))


def test_the_japanese_readme_has_the_same_links() -> None:
    """In the same order; to the Japanese page or picture where there is one."""
    expected = [translated(link) for link in LINK.findall(prose(ENGLISH))]
    assert LINK.findall(prose(JAPANESE)) == expected


def test_the_japanese_readme_names_the_same_commands() -> None:
    """Each command, option and path within the text."""
    here, there = (set(INLINE.findall(prose(page))) for page in (JAPANESE, ENGLISH))
    assert here == there
