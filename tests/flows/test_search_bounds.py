"""The text index: what it contains, and that a search returns all matches (S-111)."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from itemsapi.db import Database
from itemsapi.items.query import ItemListQuery
from itemsapi.items.tokenizer import tokenize
from support.app_factory import MovingClock
from support.item_store import ItemStore


@pytest.fixture
def stock(database: Database, clock: MovingClock) -> ItemStore:
    """A store of items."""
    return ItemStore(database, clock)


def search(stock: ItemStore, query: str, limit: int) -> Iterator[str]:
    """Yield the names of all items that a search returns, page by page."""
    cursor = None
    while True:
        query_of_page = ItemListQuery(q=query, sort="name", limit=limit, cursor=cursor)
        page = stock.items.get_page(query_of_page, owner=stock.ada)
        yield from (item.name for item in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


@pytest.mark.parametrize("count", [200, 201, 203])
def test_a_search_returns_all_matches_around_the_sorting_limit(
    stock: ItemStore, count: int
) -> None:
    """At the number of matches that are sorted, one more, and some more."""
    names = [f"lamp {at:03}" for at in range(count)]
    for name in names:
        stock.create(name=name)
    assert list(search(stock, "lamp", 100)) == names


def test_the_index_has_no_rows_of_a_deleted_item(stock: ItemStore) -> None:
    """They would slow down searches and reveal the text."""
    item = stock.create(name="lamp")
    stock.items.delete(item.id, owner=stock.ada, version=None)
    with stock.database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM item_text")).scalar() == 0


def test_the_indexed_text_is_limited() -> None:
    """Some characters become eighteen when they are normalized."""
    whole = "a " * 30_000
    assert "end" in tokenize(whole[:-4] + " end")
    assert "end" not in tokenize(whole + "end")
    assert "end" not in tokenize("\ufdfa" * 10_000 + " end")
