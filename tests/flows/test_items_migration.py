"""The schema of items: the migration creates what the models declare, a downgrade removes it."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from itemsapi import db
from itemsapi.db.ownership import ITEM_TABLES
from itemsapi.items.models import Item
from itemsapi.testing import MovableClock
from support.item_store import ItemStore


@pytest.fixture
def store(database: db.Database, clock: MovableClock) -> ItemStore:
    """A store with an item in it."""
    store = ItemStore(database, clock)
    store.create(name="Lamp")
    return store


def test_a_downgrade_removes_all_tables_of_items(store: ItemStore) -> None:
    """The items and their words are gone."""
    db.downgrade(store.database, "base", of="items")
    tables = inspect(store.database.engine).get_table_names()
    assert not [name for name in tables if name in ITEM_TABLES]


def test_the_store_is_empty_and_works_after_a_downgrade_and_an_upgrade(store: ItemStore) -> None:
    """Words of former items do not match new ones, although numbers start again."""
    db.downgrade(store.database, "base", of="items")
    db.upgrade(store.database)
    store.create(name="Table")
    assert (store.names(q="lamp"), store.names(q="table")) == ([], ["Table"])


def test_the_migration_creates_what_the_models_declare(store: ItemStore) -> None:
    """Columns, constraints and indexes of the table of items are the declared ones."""
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_object": lambda thing, *_: table_name(thing) == "itemsapi_item"},
        )
        assert compare_metadata(context, Item.metadata) == []


def table_name(thing: object) -> str:
    """Return the name of the table that a part of a schema belongs to."""
    table = getattr(thing, "table", thing)
    return str(getattr(table, "name", ""))
