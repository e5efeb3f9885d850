"""The pages of the repository link to files and headings that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\((?!\w+:)([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub forms them."""
    headings = HEADING.findall(page.read_text("utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_broken(page: Path, link: str) -> bool:
    """Return whether the file or the heading of a link is missing."""
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return not target.exists() or bool(anchor and anchor not in anchors(target))


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).with_suffix("").as_posix()
)
def test_links_of_a_page_are_not_broken(page: Path) -> None:
    """Relative links and their anchors."""
    links = LINK.findall(page.read_text("utf-8"))
    assert [link for link in links if is_broken(page, link)] == []


def test_every_decision_is_listed() -> None:
    """In the page that the folder shows, with the title of the record."""
    folder = ROOT / "docs" / "adr"
    listed = (folder / "README.md").read_text("utf-8")
    titles = {page: page.read_text("utf-8").splitlines()[0] for page in folder.glob("0*.md")}
    links = [f"[{title.split('. ', 1)[1]}]({page.name})" for page, title in titles.items()]
    assert [link for link in links if link not in listed] == []
