"""Output of the commands: tables for people, JSON for programs.

All output of the commands goes through this module, which escapes control characters: nothing that
a client sent reaches a terminal unescaped (S-115).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from itemsapi.control_characters import escape_control_characters
from itemsapi.rest.fields import rfc3339

Function = TypeVar("Function", bound=Callable[..., object])

Row = Mapping[str, object]
MIN_TERMINAL_WIDTH, PIPE_WIDTH = 80, 10_000
UNWRAPPED_SUFFIXES = (
    "name",
    "setting",
    "id",
    "_at",
)  # suffixes of the columns that are not wrapped


def json_option(function: Function) -> Function:
    """Add the option `--json` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(function)


def print_table(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool) -> None:
    """Write rows as a table with these columns, or with all fields as a JSON array.

    Names, ids and times are not wrapped, so that they can be copied; on a narrow terminal the other
    columns wrap. Nothing is cut off.
    """
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        no_wrap_column = column.endswith(UNWRAPPED_SUFFIXES)
        heading = column.replace("_", " ").capitalize()
        table.add_column(heading, no_wrap=no_wrap_column, overflow="fold", min_width=len(heading))
    for row in rows:
        table.add_row(
            *(escape(escape_control_characters(_cell(row[column]))) for column in columns)
        )
    console = Console()
    # A pipe has no width. A terminal narrower than 80 columns wraps the lines itself.
    console.width = max(console.width, MIN_TERMINAL_WIDTH) if console.is_terminal else PIPE_WIDTH
    console.print(table)


def print_result(result: Row, *lines: str, as_json: bool) -> None:
    """Write one result: as lines of text, or as a JSON object."""
    if as_json:
        print_json(result)
    else:
        print_lines(*lines)


def print_lines(*lines: str, err: bool = False) -> None:
    """Write lines; line breaks within a line are escaped."""
    click.echo("\n".join(map(escape_control_characters, lines)), err=err)


def print_json(value: object) -> None:
    """Write JSON, in ASCII."""
    click.echo(json.dumps(value, indent=2, default=_json_default))


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%MZ")
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _json_default(value: object) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)


def progress_bar() -> Progress:
    """Return a progress bar; it shows nothing unless standard error is a terminal."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
