"""The text index: what it contains, and that a search returns all matches (S-111)."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from itemsapi.items.query import ItemListQuery
from itemsapi.items.tokenizer import tokenize
from support.item_store import ItemStore


def search(store: ItemStore, query: str, limit: int) -> Iterator[str]:
    """Yield the names of all items that a search returns, page by page."""
    cursor = None
    while True:
        query_of_page = ItemListQuery(q=query, sort="name", limit=limit, cursor=cursor)
        page = store.items.get_page(query_of_page, owner=store.ada)
        yield from (item.name for item in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


@pytest.mark.parametrize("count", [200, 201, 203])
def test_a_search_returns_all_matches_around_the_sorting_limit(
    store: ItemStore, count: int
) -> None:
    """At the number of matches that are sorted, one more, and some more."""
    names = [f"lamp {at:03}" for at in range(count)]
    for name in names:
        store.create(name=name)
    assert list(search(store, "lamp", 100)) == names


def test_the_index_has_no_rows_of_a_deleted_item(store: ItemStore) -> None:
    """They would slow down searches and reveal the text."""
    item = store.create(name="lamp")
    store.items.delete(item.id, owner=store.ada, version=None)
    with store.database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM itemsapi_item_text")).scalar() == 0


def test_the_indexed_text_is_limited() -> None:
    """Some characters become eighteen when they are normalized."""
    whole = "a " * 30_000
    assert "end" in tokenize(whole[:-4] + " end")
    assert "end" not in tokenize(whole + "end")
    assert "end" not in tokenize("\ufdfa" * 10_000 + " end")
