"""`itemsapi db`: the schema of the database, and the commands for its data."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy import MetaData

from itemsapi import db
from itemsapi.cli.backup import after_restore, backup, restore
from itemsapi.cli.confirmation import require_confirmation, yes_option
from itemsapi.cli.context import host_application, open_services, require_database
from itemsapi.cli.copy import copy
from itemsapi.cli.first_start import create_data_dir
from itemsapi.cli.terminal import json_option, print_json, print_lines
from itemsapi.composition import Services
from itemsapi.settings import SettingsError

RELATIVE = re.compile(r"[-+]\d+")  # so many revisions back or on
HYPHENS = {"ignore_unknown_options": True}  # so that `-1` is an argument

Function = TypeVar("Function", bound=Callable[..., object])

OTHERS: dict[db.Owner, str] = {
    "items": "The tables of the Items API are",
    "blueprints": "The blueprints are",
}


def owner_option(function: Function) -> Function:
    """Add the options `--items` and `--blueprints`: whose tables a command changes."""
    items, blueprints = "of the Items API", "of the folder ITEMSAPI_MIGRATIONS"
    for name, words in (("items", items), ("blueprints", blueprints)):
        add = click.option(f"--{name}", "owner", flag_value=name, help=f"REVISION is one {words}.")
        function = add(function)
    return function


def _checked(context: click.Context, _argument: object, revision: str | None) -> str | None:
    """Return a revision; `-1` is one, as for Alembic, and other words with a hyphen are options."""
    if revision is None:
        return None
    if not revision.strip():
        raise click.BadParameter("it is empty; write `head`, `base` or a revision")
    if revision.startswith("-") and not RELATIVE.fullmatch(revision):
        raise click.NoSuchOption(revision, ctx=context)
    return revision


@click.group
def command() -> None:
    """Upgrade, back up, restore and copy the database, and write migrations for your tables."""


@command.command(context_settings=HYPHENS)
@click.argument("revision", required=False, callback=_checked)
@owner_option
def upgrade(revision: str | None, owner: db.Owner | None) -> None:
    """Upgrade all tables to the newest revision, or only the layer's to REVISION.

    Concurrent runs are safe.
    """
    with open_services(check_schema_version=False) as services:
        create_data_dir(services)
        if owner:
            _require_owner(services, owner)
            db.upgrade(services.database, revision or "head", of=owner)
        else:
            db.upgrade(services.database, revision)
        _print_revisions(services)


@command.command(context_settings=HYPHENS)
@click.argument("revision", callback=_checked)
@owner_option
@yes_option
def downgrade(revision: str, owner: db.Owner | None, *, yes: bool) -> None:
    """Downgrade the layer's tables to REVISION; `base` removes all tables of itemsapi.

    REVISION may be relative: `-1` is the one before. Tables of blueprints are downgraded with
    --blueprints only.
    """
    with open_services(check_schema_version=False) as services:
        require_database(services.database)
        _require_owner(services, owner or "layer")
        require_confirmation("Columns and tables are dropped with their data.", yes=yes)
        db.downgrade(services.database, revision, of=owner or "layer")
        _print_revisions(services)


@command.command
@json_option
def current(*, as_json: bool) -> None:
    """Show the revisions of the database and those that it should have."""
    with open_services(check_schema_version=False) as services:
        require_database(services.database)
        found, newest = db.current_revision(services.database), db.newest_revision()
        others = {owner: db.revisions(services.database, owner) for owner in OTHERS}
    if as_json:
        shown: dict[str, object] = {
            owner: pair and {"current": pair[0], "newest": pair[1]}
            for owner, pair in others.items()
        }
        print_json({"current": found, "newest": newest, **shown})
        return
    print_lines(f"The database is at revision {found or 'base'}, this version needs {newest}.")
    for owner, pair in others.items():
        if pair:
            theirs, needed = (name or "base" for name in pair)
            print_lines(f"{OTHERS[owner]} at revision {theirs}, the newest is {needed}.")


@command.command
def check() -> None:
    """Exit with 1 if a table is not at the newest revision, or differs from your models."""
    from itemsapi.endpoints.plugins import load_blueprints  # noqa: PLC0415 - it imports Flask

    with open_services() as services:
        load_blueprints(services.settings.blueprints)
        db.require_current_models(services.database, db.BlueprintModel.metadata)
        print_lines("The schema is up to date.")


@command.command
@click.option("-m", "--message", required=True, help="What the migration does, in a few words.")
@click.option(
    "--metadata",
    metavar="MODULE:METADATA",
    help="A MetaData of your own; the default is that of itemsapi.BlueprintModel.",
)
@click.option("--empty", is_flag=True, help="Compare nothing: you write the migration by hand.")
def revision(message: str, metadata: str | None, *, empty: bool) -> None:
    """Write a migration for the tables of your blueprints, into ITEMSAPI_MIGRATIONS.

    It leads from the tables in the database to those of the models. Read it before you run it with
    `itemsapi db upgrade`.
    """
    from itemsapi.endpoints.plugins import load_blueprints  # noqa: PLC0415 - it imports Flask

    with open_services(check_schema_version=False) as services:
        _require_owner(services, "blueprints")
        create_data_dir(services)
        load_blueprints(services.settings.blueprints)
        models = _load_metadata(metadata) if metadata else db.BlueprintModel.metadata
        file = db.create_revision(services.database, message, models, empty=empty)
    print_lines(f"Wrote {_relative(file)}." if file else "The tables are those of the models.")


command.add_command(backup)
command.add_command(restore)
command.add_command(after_restore)
command.add_command(copy)


def _require_owner(services: Services, owner: db.Owner) -> None:
    """Raise `SettingsError` if the application has no tables of an owner."""
    if owner == "blueprints" and services.settings.migrations is None:
        words = "ITEMSAPI_MIGRATIONS is missing; set it to the folder of your migrations, as in"
        in_application = 'app.config["ITEMSAPI_MIGRATIONS"] = "migrations" before AuthLayer(app)'
        example = in_application if host_application() else "ITEMSAPI_MIGRATIONS=migrations"
        raise SettingsError(f"{words} {example}")
    if owner == "items" and not services.database.items:
        raise SettingsError("--items: this application does not have the Items API")


def _print_revisions(services: Services) -> None:
    found = db.current_revision(services.database) or "base"
    print_lines(f"The database is at revision {found}.")
    for owner, words in OTHERS.items():
        if pair := db.revisions(services.database, owner):
            print_lines(f"{words} at revision {pair[0] or 'base'}.")


def _load_metadata(name: str) -> MetaData:
    from itemsapi.endpoints.plugins import import_object  # noqa: PLC0415 - it imports Flask

    found = import_object(name, source="--metadata")
    metadata = getattr(found, "metadata", found)  # of a declarative base
    if not isinstance(metadata, MetaData):
        raise SettingsError(f"--metadata: {name!r} is no MetaData; write MODULE:BASE.metadata")
    return metadata


def _relative(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
