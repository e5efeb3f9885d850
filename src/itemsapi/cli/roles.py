"""`itemsapi roles`: what the users of the layer may do, without signing in."""

from typing import TYPE_CHECKING

import click

from itemsapi.cli.context import open_own_users, operator
from itemsapi.cli.terminal import json_option, print_lines, print_result, print_table
from itemsapi.problems import ValidationFailed

if TYPE_CHECKING:
    from itemsapi.accounts.repository import RoleRecord
    from itemsapi.composition import Services

COLUMNS = ["name", "scopes", "description"]
EVERYTHING = "(all)"  # no scope has this name


@click.group
def command() -> None:
    """Manage the roles of users: named sets of scopes."""


@command.command("list")
@json_option
def list_roles(*, as_json: bool) -> None:
    """List the roles and their scopes."""
    with open_own_users() as services:
        rows = [_row(role, as_json=as_json) for role in services.roles.all()]
    print_table(rows, COLUMNS, as_json=as_json)


@command.command("set")
@click.argument("name")
@click.argument("scopes", nargs=-1, required=True, metavar="SCOPE...")
@click.option("--description", help="What the role is for.")
@json_option
def set_role(name: str, scopes: tuple[str, ...], *, description: str | None, as_json: bool) -> None:
    """Create the role NAME, or replace its scopes by SCOPE...

    Access tokens of its users are revoked; the next refresh has the new scopes.
    """
    with open_own_users() as services:
        _require_known_scopes(services, scopes)
        kept = {role.name: role.description for role in services.roles.all()}.get(name, "")
        role, is_new = services.roles.put(
            operator(),
            name,
            description=kept if description is None else description,
            scopes=scopes,
        )
    words = f"{'Created' if is_new else 'Changed'} {role.name}: {' '.join(role.scopes)}."
    print_result(_row(role, as_json=as_json), words, as_json=as_json)


@command.command
@click.argument("name")
def delete(name: str) -> None:
    """Delete the role NAME, which no user has."""
    with open_own_users() as services:
        services.roles.delete(operator(), name)
    print_lines(f"Deleted {name}.")


def _require_known_scopes(services: "Services", names: tuple[str, ...]) -> None:
    """Raise `ValidationFailed`, which lists the scopes, for one that no route has."""
    known = services.scopes()
    if unknown := sorted({*names}.difference(known)):
        words = f"There is no scope {unknown[0]}; the scopes are {', '.join(sorted(known))}."
        raise ValidationFailed.at("scopes", words)


def _row(role: "RoleRecord", *, as_json: bool) -> dict[str, object]:
    scopes = [EVERYTHING] if role.everything and not as_json else list(role.scopes)
    return {
        "name": role.name,
        "description": role.description,
        "everything": role.everything,
        "scopes": scopes,
    }
