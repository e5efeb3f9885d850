"""Run the blocks of a document in order, as a reader does who copies each of them.

What a `console` block shows must be what its commands print. Values that differ from run to run
are compared by their form only. `...` stands for what is left out: alone on a line for lines, at
the end of a line or of a quoted text for its rest, and in a JSON object for members. A value that
a document shows and uses again, such as a token, is copied: later commands get the one that was
really printed.
"""

import re
from pathlib import Path

from support.document_blocks import Block, apply_changes
from support.terminals import CommandFailed, Machine, Terminal

VARYING = re.compile(
    r"""
    (?P<text>"[\w.:\- ]+\.\.\.")    # a value whose end is left out
  | (?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})
  | (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z)
  | (?P<password>\b[0-9a-f]{32}\b)
  | (?P<seconds>"expires_in":\d+)
  | (?P<lines>^\.\.\.(?:\n|\Z))
  | (?P<members>(?<=[{,])\ ?\.\.\.\ ?(?=[,}]))
  | (?P<end>\.\.\.$)
    """,
    re.VERBOSE | re.MULTILINE,
)
FORMS = {
    "uuid": r"[0-9a-f-]{36}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z",
    "password": r"[0-9a-f]{32}",
    "seconds": r'"expires_in":\d+',
    "lines": r"(?:.*\n)*?(?:.*\Z)?",
    "members": r"(?:[^{}\n]|\{[^{}\n]*\})*",
    "end": r".+",
}
CONTEXTS = Path(__file__).parents[1] / "packaging" / "documents"


class DocumentRunner:
    """The terminals in which the blocks of a document run, and the values copied on the way."""

    def __init__(self, machine: Machine) -> None:
        """Begin in the folder `start`."""
        self._machine = machine
        self._folder = "start"
        self._copied: dict[str, dict[str, str]] = {}  # of each folder
        self._serving: dict[str, tuple[str, str]] = {}

    def run(self, block: Block) -> None:
        """Run a block. Raise `CommandFailed` if it does not do what the document says."""
        try:
            self._enter(block.options.get("folder", self._folder))
            self._run(block, self._terminal(block))
        except (CommandFailed, ValueError) as failed:
            raise CommandFailed(f"{block}:\n{failed}") from None

    def _enter(self, folder: str) -> None:
        """Go to a folder; start again what it served when it was left."""
        if folder == self._folder:
            return
        self._machine.leave(self._folder)
        self._folder = folder
        if folder in self._serving:
            self._machine.terminal(folder, 1).serve(*self._serving[folder])

    def _terminal(self, block: Block) -> Terminal:
        return self._machine.terminal(self._folder, int(block.options.get("terminal", 1)))

    def _run(self, block: Block, terminal: Terminal) -> None:
        options = block.options
        if name := options.get("file", options.get("append", "")):
            self._save(block, terminal.folder / name)
            output = self._shell(terminal, options["then"]) if "then" in options else ""
        elif "serves" in options:
            output = self._serve(block, terminal)
        else:
            output = self._commands(block, terminal)
        if "Traceback" in output:
            raise CommandFailed(output)
        pattern, names = contained_pattern(options.get("shows", ""))
        self._compare(pattern, names, output, options.get("shows", ""))

    def _save(self, block: Block, path: Path) -> None:
        """Save a block as its file, or add it to the file, or change the file."""
        options, text = block.options, block.text
        if "after" in options:
            text = (CONTEXTS / options["after"]).read_text("utf-8") + text
        if "append" in options:
            text = f"{path.read_text('utf-8')}\n\n{text}"
        if "below" in options:
            line = f"{options['below']}\n"
            text = path.read_text("utf-8").replace(line, line + text)
        if block.language == "diff":
            text = apply_changes(path.read_text("utf-8"), text)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def _serve(self, block: Block, terminal: Terminal) -> str:
        script = self._with_copies("\n".join(command for command, _ in block.session))
        self._serving[self._folder] = script, block.options["serves"]
        return terminal.serve(*self._serving[self._folder])

    def _commands(self, block: Block, terminal: Terminal) -> str:
        outputs = []
        for command, shown in block.session:
            script = f"if {command}\nthen false\nfi" if "fails" in block.options else command
            outputs.append(self._shell(terminal, script))
            if shown is not None:
                self._compare(*output_pattern(shown.strip()), outputs[-1].strip(), shown)
        return "\n".join(outputs)

    def _shell(self, terminal: Terminal, script: str) -> str:
        return terminal.run(self._with_copies(script))

    def _with_copies(self, script: str) -> str:
        for shown, actual in self._copied.get(self._folder, {}).items():
            script = script.replace(shown, actual)
        return script

    def _compare(self, pattern: str, names: list[str], output: str, shown: str) -> None:
        """Compare an output with the pattern of the shown one, and copy the values that differ."""
        found = re.fullmatch(pattern, output)
        if found is None:
            raise CommandFailed(f"the document shows\n{shown}\nbut the output is\n{output}")
        pairs = zip(names, found.groups(), strict=True)
        copied = {name: value for name, value in pairs if name.strip() != "..."}
        self._copied.setdefault(self._folder, {}).update(copied)


def contained_pattern(shown: str) -> tuple[str, list[str]]:
    """Return the pattern of an output that contains texts in this order, between `...`."""
    patterns = [output_pattern(part) for part in shown.split("...")]
    anything = r"(?s:.*?)"
    pattern = anything.join(["", *(pattern for pattern, _ in patterns), ""])
    return pattern, [name for _, names in patterns for name in names]


def output_pattern(shown: str) -> tuple[str, list[str]]:
    """Return the pattern of a shown output, and the shown form of each of its groups."""
    parts, names, end = [], [], 0
    for found in VARYING.finditer(shown):
        parts.append(re.escape(shown[end : found.start()]))
        end, kind, text = found.end(), str(found.lastgroup), found.group()
        if kind == "text":
            text = text[1:-1]
            begin = text.removesuffix("...")[:-2]  # the last ones of a token depend on its key
            parts.append(f'"({re.escape(begin)}[^"]*)"')
        else:
            parts.append(f"({FORMS[kind]})")
        names.append(text)
    return "".join([*parts, re.escape(shown[end:])]), names
