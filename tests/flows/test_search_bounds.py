"""What the text index holds, and that a search leaves nothing out (S-111)."""

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
    """A shelf."""
    return ItemStore(database, clock)


def found(stock: ItemStore, query: str, limit: int) -> Iterator[str]:
    """Yield the names of all that a search finds, page by page."""
    cursor = None
    while True:
        asked = ItemListQuery(q=query, sort="name", limit=limit, cursor=cursor)
        page = stock.items.get_page(asked, owner=stock.ada)
        yield from (item.name for item in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


@pytest.mark.parametrize("many", [200, 201, 203])
def test_a_search_finds_all_however_many_match(stock: ItemStore, many: int) -> None:
    """At the number of matches that are sorted, one more, and some more."""
    names = [f"lamp {at:03}" for at in range(many)]
    for name in names:
        stock.create(name=name)
    assert list(found(stock, "lamp", 100)) == names


def test_a_deleted_item_leaves_no_words(stock: ItemStore) -> None:
    """They would be met by every search for ever, and tell what was there."""
    item = stock.create(name="lamp")
    stock.items.delete(item.id, owner=stock.ada, version=None)
    with stock.database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM item_text")).scalar() == 0


def test_the_text_that_is_indexed_has_a_bound() -> None:
    """Some characters become eighteen when they are normalised."""
    whole = "a " * 30_000
    assert "end" in tokenize(whole[:-4] + " end")
    assert "end" not in tokenize(whole + "end")
    assert "end" not in tokenize("\ufdfa" * 10_000 + " end")
