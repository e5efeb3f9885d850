"""The code blocks of a document, and the comments above them that say how they are run.

Readers do not see the comments. The first one is what most blocks have:

    <!-- run file=orders.py -->            save the block under this name, or change it by a `diff`
    <!-- run append=shop.py -->            add it to the end of this file
    <!-- run file=orders.py below="LINE" -->    add it to a file that is there, below this line
    <!-- run file=shop.py after=users.py -->    what stands above it, in tests/packaging/documents
    <!-- run file=shop.py then="COMMAND" -->    what runs it, if no later block does
    <!-- run folder=orders -->             begin in an empty folder
    <!-- run serves=localhost:8000/ -->    do not wait for its end, but for a response of this URL
    <!-- run terminal=2 -->                in another terminal, with an environment of its own
    <!-- run shows="Password ea24..." -->  what the output contains, in this order, between `...`
    <!-- run fails -->                     each of its commands ends with an error, as the page says
    <!-- run instead="COMMAND" because="why" -->
    <!-- run by=tests/browser/test_examples.py -->   another test runs it, and names the document
    <!-- not run: why -->
"""

import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

COMMENT = re.compile(r"<!-- (run|not run:) (.*?) ?-->", re.DOTALL)
PROMPT = re.compile(r"^\$ ", re.MULTILINE)
LEFT_OUT = re.compile(r"^\.\.\.\n", re.MULTILINE)
SHELLS = {"sh", "console"}
OPTIONS = {
    *("after", "append", "because", "below", "by", "fails", "file", "folder"),
    *("instead", "serves", "shows", "terminal", "then"),
}


@dataclass(frozen=True, slots=True)
class Block:
    """A code block: where it begins, its language and text, and what its comment says."""

    document: str
    line: int
    language: str
    text: str
    options: dict[str, str] = field(default_factory=dict)
    reason_not_to_run: str = ""
    section: str = ""

    def __str__(self) -> str:
        """Return where the block is, in the form that editors open."""
        return f"{self.document}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Return whether the runner of documents runs it."""
        return not self.reason_not_to_run and "by" not in self.options

    @property
    def session(self) -> list[tuple[str, str | None]]:
        """Return its commands, each with the output that it shows; `None` without a prompt."""
        if self.language != "console":
            return [(self.options.get("instead", self.text), None)]
        return [_split_output(part) for part in PROMPT.split(self.text)[1:]]

    @property
    def fault(self) -> str:
        """Return what is wrong with its comment; nothing if the block can be run."""
        if unknown := set(self.options) - OPTIONS:
            return f"{self}: unknown {', '.join(sorted(unknown))}"
        if ("instead" in self.options) != ("because" in self.options):
            return f"{self}: `instead` needs `because`, which says why"
        has_file = {"file", "append"} & set(self.options)
        if self.is_run and self.language not in SHELLS and not has_file:
            return f"{self}: add a comment that names its file, or says why it is not run"
        return ""


def read_blocks(root: Path, document: str) -> list[Block]:
    """Return the code blocks of a document in order."""
    blocks, before, section = [], Token("", "", 0), ""
    for token in MarkdownIt().parse((root / document).read_text("utf-8")):
        if before.type == "heading_open":
            section = token.content
        if token.type in {"fence", "code_block"}:
            options, reason = _read_comment(before.content if before.type == "html_block" else "")
            language = (token.info.split() or [""])[0]
            line = _lines_of(token).start + 1
            blocks.append(Block(document, line, language, token.content, options, reason, section))
        before = token
    return blocks


def with_texts(page: str, texts: Iterable[str]) -> str:
    """Return the text of a page with other texts in its code blocks."""
    lines = page.splitlines(keepends=True)
    fences = [token for token in MarkdownIt().parse(page) if token.type == "fence"]
    for token, text in reversed([*zip(fences, texts, strict=False)]):
        place = _lines_of(token)
        first = lines[place.start]
        indent = first[: len(first) - len(first.lstrip())]
        lines[place.start + 1 : place.stop - 1] = [textwrap.indent(text, indent)]
    return "".join(lines)


def apply_changes(text: str, changes: str) -> str:
    """Return a file after the changes of a `diff` block; `...` stands for lines that stay.

    Raise `ValueError` if a reader cannot tell the place of a change.
    """
    for change in LEFT_OUT.split(changes):
        old, new = ("".join(_lines_without(sign, change)) for sign in "+-")
        if text.count(old) != 1:
            raise ValueError(f"{text.count(old)} places for this change:\n{change}")
        text = text.replace(old, new)
    return text


def _lines_without(sign: str, change: str) -> Iterator[str]:
    for line in change.splitlines(keepends=True):
        if not line.startswith(sign):
            yield line if line == "\n" else line[1:]


def _lines_of(token: Token) -> range:
    """Return the lines of a code block, from 0."""
    begin, end = token.map or (0, 0)
    return range(begin, end)


def _read_comment(comment: str) -> tuple[dict[str, str], str]:
    """Return the options, and the reason not to run the block."""
    found = COMMENT.search(comment)
    if found is None:
        return {}, ""
    kind, text = found.groups()
    if kind == "not run:":
        return {}, text
    pairs = (word.partition("=") for word in shlex.split(text))
    return {name: value for name, _, value in pairs}, ""


def _split_output(part: str) -> tuple[str, str]:
    """Split the text after a prompt into the command and the output that the page shows."""
    lines = part.splitlines()
    count = 1
    while lines[count - 1].endswith("\\"):
        count += 1
    return "\n".join(lines[:count]), "\n".join(lines[count:])
