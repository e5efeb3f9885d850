"""Source text of nested values, in the syntax of Python or JavaScript."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from itemsapi.rest.openapi.samples.example_values import Json
from itemsapi.rest.openapi.samples.sample_request import Text, Variable

MAX_WIDTH = 60  # of a value that is written on one line
FILL_IN = "..."


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a language writes values."""

    indent: str
    constants: Mapping[object, str]  # of None, True and False
    padding: str = ""  # within the braces of an object on one line
    bare_keys: bool = False  # names without quotes where the language allows it
    template: tuple[str, str, str, str] = ('f"', '"', "{", "}")  # around a text and its variables
    escapes: Mapping[str, str] | None = None  # of characters in a template

    def value(self, value: Json, depth: int = 0) -> str:
        """Return a value as source text; lines after the first are indented by `depth`."""
        if isinstance(value, Text):
            return self.text(value)
        if isinstance(value, Mapping):
            items = [f"{self.key(name)}: {self.value(v, depth + 1)}" for name, v in value.items()]
            return self._brackets("{", items, "}", depth, self.padding)
        if isinstance(value, list):
            return self._brackets("[", [self.value(v, depth + 1) for v in value], "]", depth, "")
        if value is None or isinstance(value, bool):
            return self.constants[value]
        return json.dumps(value, default=str)

    def text(self, text: Text) -> str:
        """Return a text as source text: a literal, the name of a variable, or a template."""
        if all(isinstance(part, str) for part in text.parts):
            return json.dumps("".join(map(str, text.parts)), ensure_ascii=False)
        if len(text.parts) == 1:
            return self.name(text.parts[0])
        start, end, before, after = self.template
        parts = (
            self.escape(part) if isinstance(part, str) else f"{before}{self.name(part)}{after}"
            for part in text.parts
        )
        return f"{start}{''.join(parts)}{end}"

    def escape(self, text: str) -> str:
        """Return a part of a template."""
        for character, escaped in (self.escapes or {}).items():
            text = text.replace(character, escaped)
        return text

    def name(self, variable: Variable | str) -> str:
        """Return the name of a variable: in camel case where keys are bare."""
        assert isinstance(variable, Variable)  # noqa: S101 - tells the type checker
        first, *others = variable.name.split("_")
        return first + "".join(map(str.title, others)) if self.bare_keys else variable.name

    def key(self, name: str) -> str:
        """Return the key of an object."""
        return (
            name if self.bare_keys and name.isidentifier() else json.dumps(name, ensure_ascii=False)
        )

    def _brackets(self, start: str, items: list[str], end: str, depth: int, padding: str) -> str:
        line = f"{start}{padding}{', '.join(items)}{padding}{end}" if items else start + end
        if len(line) <= MAX_WIDTH and "\n" not in line:
            return line
        inner, outer = self.indent * (depth + 1), self.indent * depth
        lines = "".join(f"{inner}{item},\n" for item in items)
        return f"{start}\n{lines}{outer}{end}"
