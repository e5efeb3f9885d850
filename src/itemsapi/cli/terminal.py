"""How commands speak: tables for people, JSON for programs.

All that a command writes is written here, so nothing that a client sent reaches a terminal raw:
control characters are escaped (S-115).
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

from itemsapi.control_characters import escaped
from itemsapi.rest.fields import rfc3339

Function = TypeVar("Function", bound=Callable[..., object])

Row = Mapping[str, object]
NARROWEST, WIDEST = 80, 10_000
WHOLE = ("name", "setting", "id", "_at")  # how the names of columns end that are not broken


def json_option(function: Function) -> Function:
    """Give a command the switch `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(function)


def show(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool) -> None:
    """Write rows as a table with these columns, or all they hold as a JSON array.

    Names, ids and times stay in one piece, to be copied; where the terminal is too narrow the other
    columns go on in the next line. Nothing is cut.
    """
    if as_json:
        say_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        whole = column.endswith(WHOLE)
        heading = column.replace("_", " ").capitalize()
        table.add_column(heading, no_wrap=whole, overflow="fold", min_width=len(heading))
    for row in rows:
        table.add_row(*(escape(escaped(_cell(row[column]))) for column in columns))
    console = Console()
    # A pipe has no edge. A terminal that is narrower than most breaks the lines by itself.
    console.width = max(console.width, NARROWEST) if console.is_terminal else WIDEST
    console.print(table)


def tell(said: Row, *lines: str, as_json: bool) -> None:
    """Write one outcome: sentences, a line each, or what they say as a JSON object."""
    if as_json:
        say_json(said)
    else:
        say(*lines)


def say(*lines: str, err: bool = False) -> None:
    """Write lines, each of which stays one."""
    click.echo("\n".join(map(escaped, lines)), err=err)


def say_json(value: object) -> None:
    """Write JSON, in ASCII."""
    click.echo(json.dumps(value, indent=2, default=_plain))


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%MZ")
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _plain(value: object) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)


def progress_bar() -> Progress:
    """Return a progress bar; it shows nothing unless standard error is a terminal."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
