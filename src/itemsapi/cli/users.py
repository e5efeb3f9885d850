"""`itemsapi users`: manage users from the host, without signing in."""

import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import click

from itemsapi.cli.context import open_own_users, operator, serves_console
from itemsapi.cli.terminal import json_option, print_lines, print_result, print_table
from itemsapi.clock import now
from itemsapi.command_line import command_line
from itemsapi.problems import ValidationFailed

if TYPE_CHECKING:
    from itemsapi.accounts.repository import UserRecord
    from itemsapi.composition import Services
    from itemsapi.issuer.users import UserService

Function = TypeVar("Function", bound=Callable[..., object])

PAGE_SIZE = 200
MAX_LINE_BYTES = 64 * 1024  # far more than any password
TABLE_COLUMNS = ["username", "roles", "disabled", "temporary_password", "created_at"]


def password_option(function: Function) -> Function:
    """Add the option `--password-stdin`; a password argument would be visible in `ps`."""
    words = "Read the password from standard input instead of generating one."
    return click.option("--password-stdin", "from_stdin", is_flag=True, help=words)(function)


def must_change_option(function: Function) -> Function:
    """Add the option `--must-change` to a command."""
    words = "Make it temporary: valid for 7 days, only to set another one (default in production)."
    return click.option("--must-change", is_flag=True, help=words)(function)


def role_option(function: Function) -> Function:
    """Add the option `--role`."""
    words = "A role of the user, one of those in `roles list`; may be repeated."
    return click.option("--role", "roles", metavar="ROLE", multiple=True, help=words)(function)


@click.group
def command() -> None:
    """Manage users."""


@command.command
@click.argument("name")
@role_option
@password_option
@must_change_option
@json_option
def add(
    name: str, roles: tuple[str, ...], *, from_stdin: bool, must_change: bool, as_json: bool
) -> None:
    """Create the user NAME. A generated password is shown only once.

    Roles decide what a user may do; a user without a role may do nothing.
    """
    given = _read_password() if from_stdin else None
    with open_own_users() as services:
        password = services.users.generate_password(name) if given is None else given
        known_roles = _require_known_roles(services, roles)
        is_temporary = must_change or (services.settings.production and not from_stdin)
        user = services.users.create(operator(), name, password, roles, temporary=is_temporary)
        note = temporary_note(services) if is_temporary else None
    lines = [f"Created {user.username}.", *_password_lines(password, note, from_stdin=from_stdin)]
    if not user.roles:
        lines.append(
            f"No role: {user.username} may do nothing yet. {_add_role_hint(user, known_roles)}"
        )
    print_result(
        _row(user) | ({} if from_stdin else {"password": password}), *lines, as_json=as_json
    )


@command.command("list")
@json_option
def list_users(*, as_json: bool) -> None:
    """List all users by name, and the state of their temporary passwords."""
    with open_own_users() as services:
        rows = [_row(user) for user in _all_users(services.users)]
    print_table(rows, TABLE_COLUMNS, as_json=as_json)


@command.command
@click.argument("name")
def disable(name: str) -> None:
    """Disable the user NAME: all sessions end, and the user cannot sign in."""
    with open_own_users() as services:
        users = services.users
        users.change(operator(), users.get_by_name(name).id, None, disabled=True)
    print_lines(f"Disabled {name}.")


@command.command
@click.argument("name")
def enable(name: str) -> None:
    """Enable the user NAME: the user can sign in again."""
    with open_own_users() as services:
        users = services.users
        users.change(operator(), users.get_by_name(name).id, None, disabled=False)
    print_lines(f"Enabled {name}.")


@command.command
@click.argument("name")
@password_option
@must_change_option
@json_option
def set_password(name: str, *, from_stdin: bool, must_change: bool, as_json: bool) -> None:
    """Set another password for the user NAME; all sessions end.

    A generated password is shown only once.
    """
    given = _read_password() if from_stdin else None
    with open_own_users() as services:
        password = services.users.generate_password(name) if given is None else given
        user = services.users.get_by_name(name)
        is_temporary = must_change or (services.settings.production and not from_stdin)
        services.users.set_password(operator(), user.id, password, temporary=is_temporary)
        user = services.users.get(user.id)
        note = temporary_note(services) if is_temporary else None
    lines = [
        f"Set the password of {name}.",
        *_password_lines(password, note, from_stdin=from_stdin),
    ]
    print_result(
        _row(user) | ({} if from_stdin else {"password": password}), *lines, as_json=as_json
    )


@command.command
@click.argument("name")
@click.argument("role")
def add_role(name: str, role: str) -> None:
    """Give the user NAME the role ROLE, one of those in `roles list`."""
    with open_own_users() as services:
        _require_known_roles(services, [role])
    _change_roles(name, lambda roles_before: roles_before | {role})


@command.command
@click.argument("name")
@click.argument("role")
def remove_role(name: str, role: str) -> None:
    """Remove the role ROLE from the user NAME."""
    _change_roles(name, lambda roles_before: roles_before - {role})


def _change_roles(name: str, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
    with open_own_users() as services:
        before = services.users.get_by_name(name)
        roles = change(frozenset(before.roles))
        after = services.users.change(operator(), before.id, before.version, roles=roles)
    print_lines(f"{after.username} has {' '.join(after.roles) or 'no role'}.")


def _require_known_roles(services: "Services", names: Iterable[str]) -> list[str]:
    """Return the names of all roles. Raise `Invalid`, which lists them, for an unknown role."""
    known_roles = [role.name for role in services.roles.all()]
    if unknown := sorted({*names}.difference(known_roles)):
        words = f"There is no role {unknown[0]}; the roles are {', '.join(known_roles)}."
        raise ValidationFailed.at("roles", words)
    return known_roles


def _add_role_hint(user: "UserRecord", roles: Iterable[str]) -> str:
    command = command_line(f"users add-role {user.username} ROLE")
    return f"Run {command}; the roles are {', '.join(roles)}."


def _all_users(users: "UserService") -> "Iterator[UserRecord]":
    after = ""
    while page := users.list_page(after=after, limit=PAGE_SIZE):
        yield from page
        after = page[-1].username


def _read_password() -> str:
    """Return the password, which is the one line of standard input.

    Windows puts a byte-order mark before piped text; it is removed. Control characters, which no
    form can send, are rejected: they indicate a file in another encoding or a key pressed by
    mistake. A second line is rejected too, because it would be lost.
    """
    if sys.stdin is None:
        raise ValidationFailed.at("password", "Standard input is closed; write the password there.")
    first_line = sys.stdin.buffer.readline(MAX_LINE_BYTES)
    line = first_line.decode("utf-8-sig").rstrip("\r\n")
    if control_character := next((c for c in line if unicodedata.category(c) == "Cc"), None):
        code_point = f"U+{ord(control_character):04X}"
        words = f"The password contains the control character {code_point}; write UTF-8 text."
        raise ValidationFailed.at("password", words)
    if first_line.endswith(b"\n") and not sys.stdin.isatty() and sys.stdin.buffer.read(1):
        words = "Standard input has more than one line; write the password alone."
        raise ValidationFailed.at("password", words)
    return line


def _row(user: "UserRecord") -> dict[str, object]:
    return {
        "id": user.id,
        "username": user.username,
        "roles": user.roles,
        "disabled": user.disabled,
        "created_at": user.created_at,
        "must_change": user.password_expires_at is not None,
        "temporary_password": _temporary_password_state(user),
        "password_expires_at": user.password_expires_at,
    }


def _temporary_password_state(user: "UserRecord") -> str | None:
    """Return the state of a temporary password, None for a password that the user has chosen."""
    if user.password_expires_at is None:
        return None
    return "pending" if now() < user.password_expires_at else "expired"


def temporary_note(services: "Services") -> str:
    """Return what a temporary password is good for, and where the user sets another one."""
    places = ["in the console"] * serves_console(services)
    places.append(f"POST {services.url_prefix}/me/password")
    return f"It is valid for 7 days, only to set another one: {', or '.join(places)}."


def _password_lines(password: str, note: str | None, *, from_stdin: bool) -> list[str]:
    lines = [] if from_stdin else [f"Password: {password}  (shown this once)"]
    return lines + ([note] if note else [])
