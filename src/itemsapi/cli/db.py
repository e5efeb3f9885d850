"""`itemsapi db`: the database schema."""

import click

from itemsapi import db
from itemsapi.cli.context import open_services
from itemsapi.cli.first_start import create_data_dir
from itemsapi.cli.terminal import json_option, print_lines, print_result


@click.group
def command() -> None:
    """Upgrade or downgrade the database schema."""


@command.command
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Upgrade the schema to REVISION, by default the newest; concurrent runs are safe."""
    with open_services(check_schema_version=False) as services:
        create_data_dir(services)
        db.upgrade(services.database, revision)
        print_lines(f"The database is at revision {db.current_revision(services.database)}.")


@command.command
@click.argument("revision")
@click.confirmation_option(prompt="Columns and tables are dropped with their data. Continue?")
def downgrade(revision: str) -> None:
    """Downgrade the schema to REVISION; `base` removes all tables."""
    with open_services(check_schema_version=False) as services:
        db.downgrade(services.database, revision)
        found = db.current_revision(services.database) or "base"
        print_lines(f"The database is at revision {found}.")


@command.command
@json_option
def current(*, as_json: bool) -> None:
    """Show the revision of the database and the one that this version needs."""
    with open_services(check_schema_version=False) as services:
        found, newest = db.current_revision(services.database), db.newest_revision()
    words = f"The database is at revision {found or 'base'}, this version needs {newest}."
    print_result({"current": found, "newest": newest}, words, as_json=as_json)


@command.command
def check() -> None:
    """Exit with 0 if the schema is the one that this version needs, with 1 if not."""
    with open_services():
        print_lines("The schema is up to date.")
