"""The code blocks of a document, and the comments above them that say how they are run.

Readers do not see the comments. The first one is what most blocks have:

    <!-- run file=orders.py -->            save the block under this name
    <!-- run append=shop.py -->            add it to the end of this file
    <!-- run file=orders.py below="LINE" -->    add it to a file that is there, below this line
    <!-- run file=shop.py after=users.py -->    what stands above it, in tests/packaging/documents
    <!-- run file=shop.py then="COMMAND" -->    what runs it, if no later block does
    <!-- run folder=orders -->             begin in an empty folder
    <!-- run serves=localhost:8000/ -->    do not wait for its end, but for a response of this URL
    <!-- run terminal=2 -->                in another terminal, with an environment of its own
    <!-- run shows="Password ea24..." -->  what the output contains; `...` stands for any text
    <!-- run instead="COMMAND" because="why" -->
    <!-- run by=tests/browser/test_examples.py -->   another test runs it, and names the document
    <!-- not run: why -->
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

COMMENT = re.compile(r"<!-- (run|not run:) (.*?) ?-->", re.DOTALL)
SHELLS = {"sh", "console"}
OPTIONS = {
    *("after", "append", "because", "below", "by", "file", "folder"),
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

    def __str__(self) -> str:
        """Return where the block is, in the form that editors open."""
        return f"{self.document}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Return whether the runner of documents runs it."""
        return not self.reason_not_to_run and "by" not in self.options

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
    tokens = MarkdownIt().parse((root / document).read_text("utf-8"))
    pairs = zip([None, *tokens], tokens, strict=False)
    return [
        _block(document, token, before.content if before and before.type == "html_block" else "")
        for before, token in pairs
        if token.type in {"fence", "code_block"}
    ]


def _block(document: str, token: Token, comment: str) -> Block:
    options, reason = _read_comment(comment)
    line = token.map[0] + 1 if token.map else 0
    language = (token.info.split() or [""])[0]
    return Block(document, line, language, token.content, options, reason)


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
