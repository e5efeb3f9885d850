"""`itemsapi access`: the access matrix, read from the rules that the gate enforces."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from itemsapi.cli.context import application
from itemsapi.cli.terminal import json_option, print_lines, print_table

if TYPE_CHECKING:
    from itemsapi.gate.rulebook import RouteRule, Rulebook


@click.command
@json_option
def command(*, as_json: bool) -> None:
    """Show the access rule of every route, and why a public route may be public.

    HEAD follows GET. Routes without exactly one rule are listed as faults, with exit code 1.
    """
    from itemsapi.extension import gate_of  # noqa: PLC0415 - not for its help

    app = application()
    rulebook = gate_of(app).seal(app)
    rows = [_row(entry) for entry in shown_entries(rulebook)]
    print_table(rows, ["method", "path", "rule", "why"], as_json=as_json)
    for words in public_by_pattern(rulebook):
        print_lines(f"itemsapi: {words}", err=True)
    rulebook.require_complete()


def shown_entries(rulebook: "Rulebook") -> "list[RouteRule]":
    """Return the routes and methods that the matrix shows: HEAD follows GET."""
    return [entry for entry in rulebook.matrix() if entry.method != "HEAD"]


def public_by_pattern(rulebook: "Rulebook") -> Iterator[str]:
    """Yield a line for each pattern that makes routes public."""
    for pattern, count in sorted(rulebook.public_by_pattern().items()):
        routes = "1 route" if count == 1 else f"{count} routes and methods"
        yield f"the key {pattern!r} makes {routes} public, and each one that it matches later"


def _row(entry: "RouteRule") -> dict[str, object]:
    return {
        "method": entry.method,
        "path": entry.path,
        "rule": str(entry.rule),
        "scopes": sorted(entry.rule.scope_names),
        "credentials": sorted(entry.rule.by) if entry.rule.needs_caller else [],
        "object_check": entry.rule.on.name if entry.rule.on else None,
        "note": "no object check (on=)" if entry.has_unchecked_object else None,
        "why": entry.rule.reason,
    }
