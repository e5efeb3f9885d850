"""`itemsapi sessions`: list and end the sessions of users."""

import click

from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.cli.context import open_services
from itemsapi.cli.terminal import json_option, print_lines, print_table
from itemsapi.issuer.sessions import list_open_sessions

JSON_COLUMNS = ["id", "device", "address", "delivery", "created_at", "last_used_at", "expires_at"]
TABLE_COLUMNS = ["device", "address", "created_at", "last_used_at"]  # JSON has all columns


@click.group
def command() -> None:
    """List and end the sessions of users."""


@command.command("list")
@click.argument("name")
@json_option
def list_sessions(name: str, *, as_json: bool) -> None:
    """List the open sessions of the user NAME, most recently used first."""
    with open_services() as services:
        user_sessions = list_open_sessions(services.issuer, services.users.get_by_name(name).id)
    rows = [{column: row[column] for column in JSON_COLUMNS} for row in user_sessions]
    print_table(rows, TABLE_COLUMNS, as_json=as_json)


@command.command("end")
@click.argument("name", required=False)
@click.option("--everybody", is_flag=True, help="End the sessions of all users.")
def end_sessions(name: str | None, *, everybody: bool) -> None:
    """End all sessions of the user NAME, or of all users."""
    if everybody == bool(name):
        raise click.UsageError("Give a NAME or --everybody.")
    with open_services() as services:
        if name is None:
            services.users.end_all_sessions(COMMAND_LINE)
            print_lines("Ended everybody's sessions.")
            return
        ended = services.users.end_sessions(COMMAND_LINE, services.users.get_by_name(name).id)
        print_lines(f"Ended {ended} of {name}.")
