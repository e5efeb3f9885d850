"""`itemsapi access`: the access matrix, from the rules that are enforced."""

import click

from itemsapi.app import create_app, rulebook
from itemsapi.cli.terminal import json_option, show
from itemsapi.gate.rulebook import RouteRule


@click.command
@json_option
def command(*, as_json: bool) -> None:
    """Show which rule stands before which route, and why what is public may be.

    HEAD follows GET.
    """
    matrix = rulebook(create_app()).matrix()
    rows = [_row(entry) for entry in matrix if entry.method != "HEAD"]
    show(rows, ["method", "path", "rule", "why"], as_json=as_json)


def _row(entry: RouteRule) -> dict[str, object]:
    return {
        "method": entry.method,
        "path": entry.path,
        "rule": str(entry.rule),
        "scopes": sorted(entry.rule.names),
        "why": entry.rule.why,
    }
