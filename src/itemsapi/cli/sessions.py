"""`itemsapi sessions`: list and end the sessions of users."""

from typing import TYPE_CHECKING

import click

from itemsapi.cli.confirmation import require_confirmation, yes_option
from itemsapi.cli.context import open_services, operator
from itemsapi.cli.terminal import counted, json_option, print_lines, print_table
from itemsapi.problems import NotFound

if TYPE_CHECKING:
    from itemsapi.composition import Services

JSON_COLUMNS = ["id", "device", "address", "delivery", "created_at", "last_used_at", "expires_at"]
TABLE_COLUMNS = ["device", "address", "created_at", "last_used_at"]  # JSON has all columns


@click.group
def command() -> None:
    """List and end the sessions of users."""


@command.command("list")
@click.argument("name")
@json_option
def list_sessions(name: str, *, as_json: bool) -> None:
    """List the open sessions of the user with this NAME or id, most recently used first."""
    from itemsapi.issuer.sessions import list_open_sessions  # noqa: PLC0415 - not for its help

    with open_services() as services:
        user_sessions = list_open_sessions(services.issuer, _find_user_id(services, name))
    rows = [{column: row[column] for column in JSON_COLUMNS} for row in user_sessions]
    print_table(rows, TABLE_COLUMNS, as_json=as_json)


@command.command("end")
@click.argument("name", required=False)
@click.option("--everybody", is_flag=True, help="End the sessions of all users.")
@yes_option
def end_sessions(name: str | None, *, everybody: bool, yes: bool) -> None:
    """End all sessions of the user with this NAME or id, or of all users.

    For all users it asks first; --yes answers.
    """
    from itemsapi.issuer.sessions import end_other_sessions  # noqa: PLC0415 - not for its help

    if everybody == bool(name):
        raise click.UsageError("Give a NAME or --everybody.")
    with open_services() as services:
        if name is None:
            require_confirmation("All users have to sign in again.", yes=yes)
            services.users.end_all_sessions(operator())
            print_lines("Ended everybody's sessions.")
            return
        user_id, why = _find_user_id(services, name), "ended by an operator"
        ended = end_other_sessions(services.issuer, user_id, keep=None, why=why, caller_id=None)
        print_lines(f"Ended {counted(ended, 'session')} of {name}.")


def _find_user_id(services: "Services", name: str) -> str:
    """Return the id of the user with this name or id. Raise `NotFound` if there is none."""
    users = services.issuer.users
    user = users.find_by_name(name) or users.find_by_id(name)
    if user is None:
        raise NotFound(f"There is no user {name}.")
    return user.id
