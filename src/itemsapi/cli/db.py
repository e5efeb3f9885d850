"""`itemsapi db`: the database schema."""

from pathlib import Path

import click
from sqlalchemy import MetaData

from itemsapi import db
from itemsapi.cli.context import open_services
from itemsapi.cli.first_start import create_data_dir
from itemsapi.cli.terminal import json_option, print_json, print_lines
from itemsapi.endpoints.plugins import import_object, load_blueprints
from itemsapi.services import Services
from itemsapi.settings import SettingsError

blueprints_option = click.option(
    "--blueprints", is_flag=True, help="REVISION is one of the folder ITEMSAPI_MIGRATIONS."
)


def _not_empty(_context: object, _argument: object, revision: str | None) -> str | None:
    if revision is not None and not revision.strip():
        raise click.BadParameter("it is empty; write `head`, `base` or a revision")
    return revision


@click.group
def command() -> None:
    """Upgrade or downgrade the database schema, and write migrations for your own tables."""


@command.command
@click.argument("revision", required=False, callback=_not_empty)
@blueprints_option
def upgrade(revision: str | None, *, blueprints: bool) -> None:
    """Upgrade all tables to the newest revision, or itemsapi's own tables to REVISION.

    Concurrent runs are safe.
    """
    with open_services(check_schema_version=False) as services:
        create_data_dir(services)
        if blueprints:
            _require_migrations(services)
            db.upgrade_blueprints(services.database, revision or "head")
        else:
            db.upgrade(services.database, revision)
        _print_revisions(services)


@command.command
@click.argument("revision", callback=_not_empty)
@blueprints_option
@click.confirmation_option(prompt="Columns and tables are dropped with their data. Continue?")
def downgrade(revision: str, *, blueprints: bool) -> None:
    """Downgrade itemsapi's own tables to REVISION; `base` removes them all.

    Tables of blueprints are downgraded with --blueprints only.
    """
    with open_services(check_schema_version=False) as services:
        if blueprints:
            _require_migrations(services)
            db.downgrade_blueprints(services.database, revision)
        else:
            db.downgrade(services.database, revision)
        _print_revisions(services)


@command.command
@json_option
def current(*, as_json: bool) -> None:
    """Show the revisions of the database and those that it should have."""
    with open_services(check_schema_version=False) as services:
        found, newest = db.current_revision(services.database), db.newest_revision()
        own = db.blueprint_revisions(services.database)
    if as_json:
        blueprints = {"current": own[0], "newest": own[1]} if own else None
        print_json({"current": found, "newest": newest, "blueprints": blueprints})
        return
    print_lines(f"The database is at revision {found or 'base'}, this version needs {newest}.")
    if own:
        theirs, needed = (name or "base" for name in own)
        print_lines(f"The blueprints are at revision {theirs}, their newest is {needed}.")


@command.command
def check() -> None:
    """Exit with 1 if a table is not at the newest revision, or differs from your models."""
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
    with open_services(check_schema_version=False) as services:
        create_data_dir(services)
        load_blueprints(services.settings.blueprints)
        models = _load_metadata(metadata) if metadata else db.BlueprintModel.metadata
        file = db.create_revision(services.database, message, models, empty=empty)
    print_lines(f"Wrote {_relative(file)}." if file else "The tables are those of the models.")


def _require_migrations(services: Services) -> None:
    if services.settings.migrations is None:
        raise SettingsError("ITEMSAPI_MIGRATIONS is missing; set it to the folder of migrations")


def _print_revisions(services: Services) -> None:
    found = db.current_revision(services.database) or "base"
    print_lines(f"The database is at revision {found}.")
    if own := db.blueprint_revisions(services.database):
        print_lines(f"The blueprints are at revision {own[0] or 'base'}.")


def _load_metadata(name: str) -> MetaData:
    found = import_object(name, source="--metadata")
    metadata = getattr(found, "metadata", found)  # of a declarative base
    if not isinstance(metadata, MetaData):
        raise SettingsError(f"--metadata: {name!r} is no MetaData; write MODULE:BASE.metadata")
    return metadata


def _relative(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
