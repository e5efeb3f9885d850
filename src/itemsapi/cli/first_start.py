"""First start: create the database schema, the first signing key and the first admin."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from itemsapi.cli.terminal import print_lines
from itemsapi.command_line import command_line
from itemsapi.settings_error import setting_error

if TYPE_CHECKING:
    from itemsapi.composition import Services


def prepare(services: "Services") -> None:
    """Create the tables and the first key in an empty database; check both otherwise.

    Raise `SchemaOutdated` for another schema (an existing one is never changed unasked), and
    `SettingsError` if the secret key does not decrypt the signing keys, or cannot be made.
    """
    from itemsapi import db  # noqa: PLC0415 - not for the help of a command

    create_data_dir(services)
    if db.is_empty(services.database):
        db.upgrade(services.database)
    db.check_schema(services.database)
    services.key_set.key_store.load_or_create()
    services.key_set.key_store.check_signing_key()


def create_data_dir(services: "Services") -> None:
    """Create the data directory if an SQLite file is in it; the service keeps no other files.

    Raise `SettingsError` if that is impossible.
    """
    folder = services.settings.data_dir.absolute()
    if services.database.dialect != "sqlite" or not _sqlite_file(services).is_relative_to(folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        reason = f"cannot be created: {folder} ({error.strerror}); name a folder that you can write"
        raise setting_error("data_dir", reason) from error


def _sqlite_file(services: "Services") -> Path:
    return Path(str(services.database.engine.url.database)).absolute()


def first_admin(services: "Services", name: str | None) -> tuple[str, str] | None:
    """Create the first admin, `name` or the name typed at the terminal, if there is no user yet.

    Return name and password, or None if a user exists, also in an application with its own users,
    or no name is available.
    """
    users = services.users
    if not services.has_layer_users or not users.is_empty():
        return None
    if name is None and sys.stdin.isatty():
        name = click.prompt("No user exists yet. Name of the first admin", default="admin")
    if name is None:
        words = "No user exists yet; run"
        print_lines(f"{words} {command_line('users add NAME --role admin')}", err=True)
        return None
    password = users.create_first_admin(name)
    return (name, password) if password else None
