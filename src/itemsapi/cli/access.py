"""`itemsapi access`: the access matrix, read from the rules that the gate enforces."""

import click

from itemsapi.cli.context import application
from itemsapi.cli.terminal import json_option, print_lines, print_table
from itemsapi.extension import gate_of
from itemsapi.gate.rulebook import RouteRule, Rulebook


@click.command
@json_option
def command(*, as_json: bool) -> None:
    """Show the access rule of every route, and why a public route may be public.

    HEAD follows GET. Routes without exactly one rule are listed as faults, with exit code 1.
    """
    app = application()
    rulebook = gate_of(app).seal(app)
    rows = [_row(entry) for entry in rulebook.matrix() if entry.method != "HEAD"]
    print_table(rows, ["method", "path", "rule", "why"], as_json=as_json)
    if words := public_by_pattern(rulebook):
        print_lines(f"itemsapi: {words}", err=True)
    rulebook.require_complete()


def public_by_pattern(rulebook: Rulebook) -> str:
    """Return the words about routes that a pattern makes public; none if there are none."""
    routes = rulebook.public_by_pattern()
    if not routes:
        return ""
    count = f"{len(routes)} of {len(rulebook.entries)} routes and methods are"
    return f"{count} public by a pattern, and so is each one that is added below it later"


def _row(entry: RouteRule) -> dict[str, object]:
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
