"""First start: the database and the first admin, made where nothing is yet."""

import sys

import click

from itemsapi.cli.terminal import say
from itemsapi.db import check_schema, empty, upgrade
from itemsapi.issuer.users import UserService
from itemsapi.services import Services


def prepare(services: Services) -> None:
    """Make the tables in a database that has none, and the first key; check both otherwise.

    Raises `SchemaOutdated` for another schema (it is never changed without being asked for), and
    `SettingsError` if the secret key is not the one that the keys were made with.
    """
    make_room(services)
    if empty(services.database):
        upgrade(services.database)
    check_schema(services.database)
    services.key_set.key_store.check()
    services.key_set.now()


def make_room(services: Services) -> None:
    """Make the folder of an SQLite file; nothing else of ours is kept in files."""
    if services.database.dialect == "sqlite":
        services.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)


def first_admin(users: UserService, name: str | None) -> tuple[str, str] | None:
    """Create the first admin if there is no user yet: `name`, or who is named at the terminal.

    Returns name and password, or None if there is somebody, or nobody to ask.
    """
    if not users.nobody():
        return None
    if name is None and sys.stdin.isatty():
        name = click.prompt("Nobody can sign in yet. Name of the first admin", default="admin")
    if name is None:
        say("Nobody can sign in yet: itemsapi users add NAME --role admin", err=True)
        return None
    password = users.first_admin(name)
    return (name, password) if password else None
