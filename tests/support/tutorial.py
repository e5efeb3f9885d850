"""The pages of the tutorial: their code blocks, the files that these show, and the steps."""

import difflib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
TUTORIAL = DOCS / "tutorial"
TRANSLATED = DOCS / "ja" / "tutorial"
BLOCK = re.compile(r"^(?:<!-- ([^\n]*) -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block, and what the comment above it says about it.

    `file=PATH` shows a file of the tutorial, and with `after=PATH` what changes in it; `serves=URL`
    runs in the background; other blocks are run, with `after="COMMAND"` beside this service. `not
    run:` gives a reason.
    """

    comment: str
    language: str
    text: str

    @property
    def options(self) -> dict[str, str]:
        """The options in the comment."""
        words = [] if self.reason else shlex.split(self.comment)
        return {name: value for name, _, value in (word.partition("=") for word in words)}

    @property
    def reason(self) -> str:
        """Why it is not run; nothing if it is."""
        return self.comment.partition("not run: ")[2]

    @property
    def shown(self) -> str:
        """What the block has to show: the files as they are, or its own text."""
        match self.options:
            case {"file": after, "after": before}:
                return changes(read(before), read(after))
            case {"file": path}:
                return read(path)
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
    if path := block.options.get("file"):
        name = Path(path).name
        return ("app.py" if name == "before.py" else name), read(path)
    return None


def folder_after(pages: list[Path]) -> dict[str, str]:
    """Return the files that a reader has who has read these pages."""
    files = [saved(block) for page in pages for block in blocks(page)]
    return dict(file for file in files if file)
