"""The schema of items: the migration makes what the models say, and leaves nothing half behind."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from itemsapi import db
from itemsapi.items.models import Item
from support.app_factory import MovingClock
from support.item_store import ItemStore

TABLES = {"item", "item_text"}


@pytest.fixture
def stock(database: db.Database, clock: MovingClock) -> ItemStore:
    """A shelf with an item on it."""
    stock = ItemStore(database, clock)
    stock.create(name="Lamp")
    return stock


def test_going_back_leaves_no_trace(stock: ItemStore) -> None:
    """Neither of the items nor of their words."""
    db.downgrade(stock.database, "0001")
    left = inspect(stock.database.engine).get_table_names()
    assert not [name for name in left if name == "item" or name.startswith("item_")]


def test_going_back_and_forth_makes_an_empty_shelf_that_works(stock: ItemStore) -> None:
    """Words of former items lead to no new ones, though numbers begin anew."""
    db.downgrade(stock.database, "0001")
    db.upgrade(stock.database)
    stock.create(name="Table")
    assert (stock.names(q="lamp"), stock.names(q="table")) == ([], ["Table"])


def test_the_migration_makes_what_the_models_say(stock: ItemStore) -> None:
    """Columns, constraints and indexes of the table of items are the declared ones."""
    with stock.database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda thing, *_: owner_of(thing) == "item"}
        )
        assert compare_metadata(context, Item.metadata) == []


def owner_of(thing: object) -> str:
    """Return the name of the table that a part of a schema belongs to."""
    table = getattr(thing, "table", thing)
    return str(getattr(table, "name", ""))
