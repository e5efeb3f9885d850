"""`itemsapi users`: look after users from the host, where nobody has to sign in."""

import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import click

from itemsapi.accounts.passwords import temporary_password
from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.accounts.repository import UserRecord
from itemsapi.cli.context import opened
from itemsapi.cli.terminal import json_option, say, show, tell
from itemsapi.clock import now
from itemsapi.issuer.users import UserService
from itemsapi.problems import Invalid
from itemsapi.services import Services

Function = TypeVar("Function", bound=Callable[..., object])

PAGE = 200
ONE_TIME = "It is good for 7 days, only to set another one: in the console, or POST /me/password."
LONGEST_LINE = 64 * 1024  # bytes; far more than any password
BUILTIN_ROLES = "admin may do everything, member keeps own items, reader sees own items"
SHOWN = ["username", "roles", "disabled", "one_time_password", "created_at"]


def password_option(function: Function) -> Function:
    """Give a command the switch `--password-stdin`; passwords are no arguments: `ps` shows them."""
    words = "Read the password from standard input instead of making one."
    return click.option("--password-stdin", "given", is_flag=True, help=words)(function)


def must_change_option(function: Function) -> Function:
    """Give a command the switch `--must-change`."""
    words = "Let it be good for 7 days, only to set another one; one made in production is."
    return click.option("--must-change", is_flag=True, help=words)(function)


def role_option(function: Function) -> Function:
    """Give a command the option `--role`, with what the roles of a new database are for."""
    words = f"A role to give; may be repeated. Of those there are at first, {BUILTIN_ROLES}."
    return click.option("--role", "roles", metavar="ROLE", multiple=True, help=words)(function)


@click.group
def command() -> None:
    """Look after users."""


@command.command
@click.argument("name")
@role_option
@password_option
@must_change_option
@json_option
def add(
    name: str, roles: tuple[str, ...], *, given: bool, must_change: bool, as_json: bool
) -> None:
    """Create the user NAME. A password made here is shown this once.

    What somebody may do is decided by their roles; without one they may do nothing.
    """
    password = _password(given=given)
    with opened() as services:
        known = _demand_known(services, roles)
        one_time = must_change or (services.settings.production and not given)
        user = services.users.create(COMMAND_LINE, name, password, roles, one_time=one_time)
    lines = [f"Created {user.username}.", *_password_lines(password, given, one_time)]
    if not user.roles:
        lines.append(f"No role: {user.username} may do nothing yet. {_give(user, known)}")
    tell(_row(user) | ({} if given else {"password": password}), *lines, as_json=as_json)


@command.command("list")
@json_option
def list_users(*, as_json: bool) -> None:
    """List all users by name, and whose one-time password is pending or has expired."""
    with opened() as services:
        rows = [_row(user) for user in _everybody(services.users)]
    show(rows, SHOWN, as_json=as_json)


@command.command
@click.argument("name")
def disable(name: str) -> None:
    """Disable NAME: all sessions end, no new one begins."""
    with opened() as services:
        users = services.users
        users.change(COMMAND_LINE, users.named(name).id, None, disabled=True)
    say(f"Disabled {name}.")


@command.command
@click.argument("name")
def enable(name: str) -> None:
    """Let NAME sign in again."""
    with opened() as services:
        users = services.users
        users.change(COMMAND_LINE, users.named(name).id, None, disabled=False)
    say(f"Enabled {name}.")


@command.command
@click.argument("name")
@password_option
@must_change_option
@json_option
def set_password(name: str, *, given: bool, must_change: bool, as_json: bool) -> None:
    """Give NAME another password; all sessions end. One made here is shown this once."""
    password = _password(given=given)
    with opened() as services:
        user = services.users.named(name)
        one_time = must_change or (services.settings.production and not given)
        services.users.set_password(COMMAND_LINE, user.id, password, one_time=one_time)
        user = services.users.find(user.id)
    lines = [f"Set the password of {name}.", *_password_lines(password, given, one_time)]
    tell(_row(user) | ({} if given else {"password": password}), *lines, as_json=as_json)


@command.command
@click.argument("name")
@click.argument("role")
def add_role(name: str, role: str) -> None:
    """Give NAME the role ROLE: admin, member, reader, or one of your own."""
    with opened() as services:
        _demand_known(services, [role])
    _change_roles(name, lambda held: held | {role})


@command.command
@click.argument("name")
@click.argument("role")
def remove_role(name: str, role: str) -> None:
    """Take the role ROLE from NAME."""
    _change_roles(name, lambda held: held - {role})


def _change_roles(name: str, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
    with opened() as services:
        before = services.users.named(name)
        roles = change(frozenset(before.roles))
        after = services.users.change(COMMAND_LINE, before.id, before.version, roles=roles)
    say(f"{after.username} has {' '.join(after.roles) or 'no role'}.")


def _demand_known(services: Services, names: Iterable[str]) -> list[str]:
    """Return the names of the roles there are. Raises `Invalid`, which tells them."""
    known = [role.name for role in services.roles.all()]
    if unknown := sorted({*names}.difference(known)):
        words = f"There is no role {unknown[0]}; the roles are {', '.join(known)}."
        raise Invalid.at("roles", words)
    return known


def _give(user: UserRecord, roles: Iterable[str]) -> str:
    command = f"itemsapi users add-role {user.username} ROLE"
    return f"Run `{command}`; the roles are {', '.join(roles)}."


def _everybody(users: UserService) -> Iterator[UserRecord]:
    after = ""
    while page := users.page(after=after, limit=PAGE):
        yield from page
        after = page[-1].username


def _password(*, given: bool) -> str:
    """Return the one line of standard input, or a password made here.

    Windows puts a byte-order mark before what it pipes; nobody means it. What no form can send is
    refused: it stands for a file of another encoding, or a key that was pressed by mistake. So is a
    second line, which was meant to be something.
    """
    if not given:
        return temporary_password()
    if sys.stdin is None:
        raise Invalid.at("password", "Standard input is closed; write the password there.")
    first = sys.stdin.buffer.readline(LONGEST_LINE)
    line = first.decode("utf-8-sig").rstrip("\r\n")
    if bad := next((c for c in line if unicodedata.category(c) == "Cc"), None):
        words = f"The password holds the control character U+{ord(bad):04X}; write UTF-8 text."
        raise Invalid.at("password", words)
    if first.endswith(b"\n") and not sys.stdin.isatty() and sys.stdin.buffer.read(1):
        words = "Standard input has more than one line; write the password alone."
        raise Invalid.at("password", words)
    return line


def _row(user: UserRecord) -> dict[str, object]:
    return {
        "id": user.id,
        "username": user.username,
        "roles": user.roles,
        "disabled": user.disabled,
        "created_at": user.created_at,
        "must_change": user.password_expires_at is not None,
        "one_time_password": _one_time(user),
        "password_expires_at": user.password_expires_at,
    }


def _one_time(user: UserRecord) -> str | None:
    """Say how it stands with a password that was made for somebody; None if it is their own."""
    if user.password_expires_at is None:
        return None
    return "pending" if now() < user.password_expires_at else "expired"


def _password_lines(password: str, given: bool, one_time: bool) -> list[str]:  # noqa: FBT001 - facts
    lines = [] if given else [f"Password: {password}  (shown this once)"]
    return lines + [ONE_TIME] * one_time
