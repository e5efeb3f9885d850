"""`itemsapi db backup` and `itemsapi db restore`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from itemsapi import db
from itemsapi.cli.confirmation import require_confirmation, yes_option
from itemsapi.cli.context import open_services, require_database
from itemsapi.cli.first_start import create_data_dir
from itemsapi.cli.terminal import print_lines, progress_bar, task_starter
from itemsapi.clock import now
from itemsapi.command_line import command_line
from itemsapi.composition import Services
from itemsapi.db import Database, is_empty, sqlite_backup
from itemsapi.db.backup_file import BackupFailed, BeginTask, Origin, kind_of
from itemsapi.db.engine import translate_errors
from itemsapi.db.ownership import table_in_use
from itemsapi.issuer.restore import revoke_after_restore, revoking_statements
from itemsapi.secret_key import is_kept_in

if TYPE_CHECKING:
    from itemsapi.db.postgres_backup import Server

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
KEPT = "API keys that were revoked since the backup work again: revoke them now"
REVOKED = "all API keys are revoked: make new ones"
SERVING = "A service that is running goes on with these data; otherwise start it."
AGAIN = "Do again what was done since the backup: disabled users, new passwords, removed roles."


@click.command
@click.argument("file")
def backup(file: str) -> None:
    """Write all data into the new FILE, and check it, while the service goes on.

    An existing file is not overwritten. If FILE is a folder, the backup is a new file in it, with
    the present time as its name. PostgreSQL is dumped with its own program, pg_dump.
    """
    new = _new_backup(file)
    with open_services(check_schema_version=False) as services:
        require_database(services.database)
        with progress_bar() as progress:
            written = _back_up(services.database, new, task_starter(progress))
        print_lines(f"Wrote {new}: {written}, {new.stat().st_size:,} bytes, checked.")
        print_lines(_secret_note(services))


@click.command
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace a database that is in use.")
@click.option("--keep-api-keys", is_flag=True, help="Do not revoke the API keys in FILE.")
def restore(file: Path, *, replace: bool, keep_api_keys: bool) -> None:
    """Replace the database by the backup FILE, and end what may have been revoked since.

    All sessions end, the signing keys are replaced, and all API keys are revoked, because the
    backup does not know which of them were revoked after it.
    """
    with open_services(check_schema_version=False) as services:
        create_data_dir(services)
        _require_restorable(services.database, file, replace=replace)
        statements = revoking_statements(
            services.database.engine.dialect, now(), keep_api_keys=keep_api_keys
        )
        with progress_bar() as progress:
            _restore(services.database, file, statements, task_starter(progress))
    print_lines(f"Restored {file}. All sessions ended; {KEPT if keep_api_keys else REVOKED}.")
    print_lines(AGAIN, f"Next: {command_line('db upgrade')}. {SERVING}")


@click.command("after-restore")
@click.option("--keep-api-keys", is_flag=True, help="Do not revoke the API keys.")
@yes_option
def after_restore(*, keep_api_keys: bool, yes: bool) -> None:
    """End what may have been revoked since a backup that another program restored.

    `itemsapi db restore` has done the same already.
    """
    with open_services(check_schema_version=False) as services:
        database = services.database
        require_database(database)
        require_confirmation("All users have to sign in again.", yes=yes)
        revoke_after_restore(database, now(), keep_api_keys=keep_api_keys)
    print_lines(f"All sessions ended; {KEPT if keep_api_keys else REVOKED}.", AGAIN)


def _new_backup(name: str) -> Path:
    """Return the file that a name stands for; in a folder it has the time, to the microsecond.

    Raise `BackupFailed` for no name, as of a variable that is not set, and for no folder.
    """
    if not name:
        raise BackupFailed("the name of the backup is empty; name a file or a folder")
    path = Path(name)
    if path.is_dir():
        return path / f"{now():%Y-%m-%dT%H%M%S.%fZ}.backup"
    if name.endswith(os.sep):
        raise BackupFailed(f"{name} is no folder; make it, or write the name without {os.sep}")
    return path


def _back_up(database: Database, file: Path, begin: BeginTask) -> str:
    """Write a backup; return what it has, in words."""
    if database.dialect == "sqlite":
        counts = sqlite_backup.back_up(_file_of(database), file, begin)
        return f"{sum(counts.values()):,} rows in {len(counts)} tables"
    from itemsapi.db import postgres_backup  # noqa: PLC0415 - it imports an extra

    server = _server_of(database)
    return f"{postgres_backup.back_up(server, file, begin)} tables"


def _restore(database: Database, file: Path, statements: list[str], begin: BeginTask) -> None:
    if database.dialect == "sqlite":
        sqlite_backup.restore(_file_of(database), file, statements, begin)
        return
    from itemsapi.db import postgres_backup  # noqa: PLC0415 - it imports an extra

    postgres_backup.restore(_server_of(database), file, statements, begin)


def _require_restorable(database: Database, file: Path, *, replace: bool) -> None:
    """Raise before anything is changed if a backup is not for this database, or it is in use."""
    kind = kind_of(file)
    if kind != database.dialect:
        words = f"{file} is a backup of {NAMES[kind]}, and ITEMSAPI_DATABASE_URL is"
        raise BackupFailed(f"{words} {NAMES[database.dialect]}; set it to one of {NAMES[kind]}")
    origin = _read_origin(database, file)
    db.require_known_revision(origin.revision)
    if origin.users is not None:
        database.user_set.require_own(origin.users)
    if not replace and not is_empty(database):
        _require_unused(database)


def _read_origin(database: Database, file: Path) -> Origin:
    if database.dialect == "sqlite":
        return sqlite_backup.read_origin(file)
    from itemsapi.db import postgres_backup  # noqa: PLC0415 - it imports an extra

    postgres_backup.require_programs(_server_of(database), file)
    return postgres_backup.read_origin(file)


def _server_of(database: Database) -> "Server":
    from itemsapi.db.postgres_backup import Server  # noqa: PLC0415 - it imports an extra

    with translate_errors(), database.engine.connect() as connection:  # it may have no tables yet
        return Server.of(connection)


def _require_unused(database: Database) -> None:
    with database.reading() as connection:
        table = table_in_use(connection)
    if table is not None:
        words = f"the database is in use: `{table}` has rows; back it up, and write --replace"
        raise BackupFailed(f"{words} to lose what it has")


def _secret_note(services: Services) -> str:
    settings, words = services.settings, "Keep the secret key too, in another place"
    if is_kept_in(settings.secret_file, settings.secret_key):
        return f"{words}: {settings.secret_file}."
    return f"{words}: it is in the settings, not in the database."


def _file_of(database: Database) -> Path:
    return Path(database.engine.url.database or "").absolute()
