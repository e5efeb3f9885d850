"""`itemsapi db`: the schema of the database."""

import click

from itemsapi import db
from itemsapi.cli.context import opened
from itemsapi.cli.first_start import make_room
from itemsapi.cli.terminal import json_option, say, tell


@click.group
def command() -> None:
    """Bring the schema of the database up to date, or back."""


@command.command
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Bring the schema to REVISION, by default the newest; several may try at once."""
    with opened(schema=False) as services:
        make_room(services)
        db.upgrade(services.database, revision)
        say(f"The database is at revision {db.current_revision(services.database)}.")


@command.command
@click.argument("revision")
@click.confirmation_option(prompt="Columns and tables are dropped, with what is in them. Go on?")
def downgrade(revision: str) -> None:
    """Take the schema back to REVISION, `base` for nothing at all."""
    with opened(schema=False) as services:
        db.downgrade(services.database, revision)
        found = db.current_revision(services.database) or "base"
        say(f"The database is at revision {found}.")


@command.command
@json_option
def current(*, as_json: bool) -> None:
    """Show the revision of the database and the one that this version needs."""
    with opened(schema=False) as services:
        found, newest = db.current_revision(services.database), db.newest_revision()
    words = f"The database is at revision {found or 'base'}, this version needs {newest}."
    tell({"current": found, "newest": newest}, words, as_json=as_json)


@command.command
def check() -> None:
    """Exit with 0 if the schema is the one that this version needs, with 1 if not."""
    with opened():
        say("The schema is up to date.")
