"""`itemsapi sessions`: see and end the sign-ins of users."""

import click

from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.cli.context import opened
from itemsapi.cli.terminal import json_option, say, show
from itemsapi.issuer.sessions import open_sessions

COLUMNS = ["id", "device", "address", "delivery", "created_at", "last_used_at", "expires_at"]
SHOWN = ["device", "address", "created_at", "last_used_at"]  # the rest is for programs


@click.group
def command() -> None:
    """See and end the sessions of users."""


@command.command("list")
@click.argument("name")
@json_option
def list_sessions(name: str, *, as_json: bool) -> None:
    """List the open sessions of the user NAME, latest use first."""
    with opened() as services:
        found = open_sessions(services.issuer, services.users.named(name).id)
    rows = [{column: row[column] for column in COLUMNS} for row in found]
    show(rows, SHOWN, as_json=as_json)


@command.command("end")
@click.argument("name", required=False)
@click.option("--everybody", is_flag=True, help="End the sessions of all users.")
def end_sessions(name: str | None, *, everybody: bool) -> None:
    """End all sessions of the user NAME, or of everybody."""
    if everybody == bool(name):
        raise click.UsageError("Give a NAME or --everybody.")
    with opened() as services:
        if name is None:
            services.users.end_everybodys_sessions(COMMAND_LINE)
            say("Ended everybody's sessions.")
            return
        ended = services.users.end_sessions(COMMAND_LINE, services.users.named(name).id)
        say(f"Ended {ended} of {name}.")
