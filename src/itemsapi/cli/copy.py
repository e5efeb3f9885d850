"""`itemsapi db copy`: from SQLite to PostgreSQL."""

from pathlib import Path

import click
from sqlalchemy import Connection, Table, func, select, text

from itemsapi import db
from itemsapi.cli.context import open_services
from itemsapi.cli.terminal import print_lines, progress_bar, task_starter
from itemsapi.command_line import command_line
from itemsapi.composition import Services
from itemsapi.db import BlueprintModel, Database, Model
from itemsapi.db.backup_file import BeginTask
from itemsapi.db.ownership import (
    APPLICATION_VERSION_TABLE,
    ITEM_TABLES,
    LAYER_TABLES,
    TABLES,
    relation_names,
    table_in_use,
)
from itemsapi.db.table_copy import CopyFailed, copy_table, exclusive_source
from itemsapi.db.user_set import StoredUserSet
from itemsapi.items.models import Item
from itemsapi.items.search_index import copy_index
from itemsapi.settings import SettingsError
from itemsapi.tokens.key_store import SigningKey


@click.command
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def copy(file: Path) -> None:
    """Copy the SQLite database FILE into the PostgreSQL database of ITEMSAPI_DATABASE_URL.

    Stop the service first. The new database must have no users and no data; its tables are made.
    All rows are copied and compared in one transaction: all of it happens, or nothing. FILE is not
    changed.
    """
    from itemsapi.endpoints.plugins import load_blueprints  # noqa: PLC0415 - it imports Flask

    with open_services(check_schema_version=False) as services:
        _require_postgres(services.database)
        load_blueprints(services.settings.blueprints)
        with progress_bar() as progress, exclusive_source(file) as source:
            _require_source(services, source)
            count, left = _copy_all(services.database, source, task_starter(progress))
    print_lines(f"Copied {count:,} rows, and compared all of them.")
    if left:
        words = f"Not copied, because no model of the application has them: {', '.join(left)}."
        print_lines(words)
    print_lines(f"Next: {command_line('check')}, then start the service with these settings.")


def _require_postgres(database: Database) -> None:
    if database.dialect != "postgresql":
        words = "ITEMSAPI_DATABASE_URL is SQLite; set it to the PostgreSQL database to copy to"
        raise SettingsError(f"{words}, with the other settings of the service")


def _require_source(services: Services, source: Connection) -> None:
    """Raise unless the file has the tables of this version, for these users, and this secret."""
    db.require_current_source(services.database, source)
    stored = source.scalar(select(StoredUserSet.core().c.name))
    if stored is not None:
        services.database.user_set.require_own(stored)
    keys = SigningKey.core()
    for row in source.execute(select(keys).where(keys.c.state == "current")):
        services.key_set.key_store.decrypt(row)


def _copy_all(database: Database, source: Connection, begin: BeginTask) -> tuple[int, list[str]]:
    """Copy all known tables; return the number of rows, and the names of the other tables."""
    with db.migrating(database) as target:
        _lock(target, _tables(database, relation_names(target)))
        _require_unused(target)
        db.upgrade_all(database, target)
        tables = _tables(database, relation_names(source) & relation_names(target))
        for table in reversed(tables):
            target.execute(table.delete())  # the rows that migrations and the first start make
        count = sum(copy_table(source, target, table, begin) for table in tables)
        if database.items:
            total = source.execute(select(func.count()).select_from(Item.core())).scalar_one()
            copy_index(source, target, begin("Copying the search index", total))
    known = {table.name for table in tables} | TABLES
    return count, sorted(relation_names(source) - known - {APPLICATION_VERSION_TABLE})


def _lock(target: Connection, tables: list[Table]) -> None:
    """Keep others from writing: what a service that was started too early adds would be deleted."""
    if tables:
        names = ", ".join(map(target.dialect.identifier_preparer.format_table, tables))
        target.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


def _require_unused(target: Connection) -> None:
    if (used := table_in_use(target)) is not None:
        words = f"the new database is in use: `{used}` has rows"
        raise CopyFailed(f"{words}; set ITEMSAPI_DATABASE_URL to an empty one")


def _tables(database: Database, names: set[str]) -> list[Table]:
    """Return the tables to copy, referenced ones first: ours, and those of the blueprints."""
    own = LAYER_TABLES | (ITEM_TABLES if database.items else set())
    ours = [table for table in Model.metadata.sorted_tables if table.name in own & names]
    theirs = BlueprintModel.metadata.sorted_tables
    return ours + [table for table in theirs if table.name in names]
