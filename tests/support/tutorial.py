"""The pages of the tutorial: their code blocks, the files that these show, and the steps."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
TUTORIAL = DOCS / "tutorial"
TRANSLATED = DOCS / "ja" / "tutorial"
PAGES = sorted(TUTORIAL.glob("[0-9]*.md"))  # without the index
BLOCK = re.compile(r"^(?:<!-- ([^\n]*) -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block, and what the comment above it says about it.

    `file PATH` shows a file of the tutorial; `diff BEFORE AFTER` the changes between two; `run` is
    run, `run serves` in the background, and `run with="COMMAND"` beside this service; `not run`
    gives a reason.
    """

    comment: str
    language: str
    text: str

    @property
    def words(self) -> list[str]:
        """The words of the comment."""
        return self.comment.split()

    @property
    def shown(self) -> str:
        """What the block has to show: the files as they are, or its own text."""
        match self.words:
            case ["file", path]:
                return read(path)
            case ["diff", before, after]:
                return changes(read(before), read(after))
            case _:
                return self.text


def read(path: str) -> str:
    """Return the text of a file of the tutorial."""
    return (TUTORIAL / path).read_text("utf-8")


def changes(before: str, after: str) -> str:
    """Return the changed lines, each with one line around it, and `...` for what is between."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
    _, _, _, *rest = lines
    return "".join(f"{'...' if line.startswith('@@') else line.rstrip()}\n" for line in rest)


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page."""
    return [Block(*found.groups("")) for found in BLOCK.finditer(page.read_text("utf-8"))]


def with_blocks(text: str, shown: Iterator[str]) -> str:
    """Return the text of a page with the texts of its blocks replaced."""

    def replaced(found: re.Match[str]) -> str:
        head = found[0][: found.start(3) - found.start()]
        return f"{head}{next(shown)}```"

    return BLOCK.sub(replaced, text)


def saved(block: Block) -> tuple[str, str] | None:
    """Return the name and the text of the file that a reader has after this block."""
    match block.words:
        case ["file", path] | ["diff", _, path]:
            name = Path(path).name
            return ("app.py" if name == "before.py" else name), read(path)
        case _:
            return None


def folder_before(page: Path) -> dict[str, str]:
    """Return the files that a reader has who has read all pages before this one."""
    earlier = [block for each in PAGES if each < page for block in blocks(each)]
    return dict(file for file in map(saved, earlier) if file)
