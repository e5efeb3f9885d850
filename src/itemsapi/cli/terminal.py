"""Output of the commands: tables for people, JSON for programs.

All output of the commands goes through this module, which escapes control characters: nothing that
a client sent reaches a terminal unescaped (S-115).

At a terminal rich fits a table into the width and shows progress. It comes with the extra `server`;
without it, and in a pipe, columns are padded with blanks, and there is no progress bar.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from typing import Protocol, TypeVar, cast

import click

from itemsapi.clock import rfc3339
from itemsapi.control_characters import escape_control_characters

Function = TypeVar("Function", bound=Callable[..., object])

Row = Mapping[str, object]
MIN_TERMINAL_WIDTH = 80  # a narrower terminal wraps the lines itself
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
    heading = [column.replace("_", " ").capitalize() for column in columns]
    body = [[escape_control_characters(_cell(row[column])) for column in columns] for row in rows]
    if sys.stdout.isatty():
        with suppress(ModuleNotFoundError):
            _print_fitted_table(heading, body, [c.endswith(UNWRAPPED_SUFFIXES) for c in columns])
            return
    widths = [max(map(len, cells)) for cells in zip(heading, *body, strict=True)]
    for cells in [heading, *body]:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _print_fitted_table(
    heading: Sequence[str], body: Iterable[Sequence[str]], no_wrap: Sequence[bool]
) -> None:
    """Write a table as wide as the terminal. Raise `ModuleNotFoundError` without rich."""
    from rich.console import Console  # noqa: PLC0415 - an extra
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for title, keep in zip(heading, no_wrap, strict=True):
        table.add_column(title, no_wrap=keep, overflow="fold", min_width=len(title))
    for cells in body:
        table.add_row(*map(Text, cells))
    console = Console()
    console.width = max(console.width, MIN_TERMINAL_WIDTH)
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


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 key`, `2 keys`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


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


class Progress(Protocol):
    """What a long command reports while it works."""

    def add_task(self, description: str, /, *, total: float) -> int:
        """Begin a task of `total` steps; return its number."""

    def advance(self, task: int, steps: float = 1, /) -> None:
        """Report that steps of a task are done."""

    def update(self, task: int, /, *, advance: float, description: str) -> None:
        """Report that steps of a task are done, and what it does now."""


class _NoProgress:
    """Shows nothing."""

    def add_task(self, description: str, /, *, total: float) -> int:
        """Return the number of a task that is not shown."""
        del description, total
        return 0

    def advance(self, task: int, steps: float = 1, /) -> None:
        """Do nothing."""

    def update(self, task: int, /, *, advance: float, description: str) -> None:
        """Do nothing."""


def task_starter(progress: Progress) -> Callable[[str, float], Callable[[float], None]]:
    """Return a function that begins a task, and returns what reports its steps."""

    def begin(description: str, total: float) -> Callable[[float], None]:
        task = progress.add_task(description, total=total)
        return lambda steps: progress.advance(task, steps)

    return begin


def progress_bar() -> AbstractContextManager[Progress]:
    """Return a progress bar; it shows nothing unless standard error is a terminal."""
    if sys.stderr.isatty():
        with suppress(ModuleNotFoundError):
            return _rich_progress()
    return nullcontext(_NoProgress())


def _rich_progress() -> AbstractContextManager[Progress]:
    from rich import console, progress  # noqa: PLC0415 - an extra

    bar = progress.Progress(console=console.Console(stderr=True), transient=True)
    return cast(
        "AbstractContextManager[Progress]", bar
    )  # its task numbers have a type of their own
