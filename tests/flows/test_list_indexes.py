"""Indexes: every list and every filter runs along one, and every index has a list that needs it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Index

from itemsapi.items import search_plan
from itemsapi.items.models import SORT_FIELDS, Item
from itemsapi.items.query import ItemListQuery
from itemsapi.testing import MovableClock
from support.item_store import ItemStore
from support.query_plans import query_plans

SORT_ORDERS = [*SORT_FIELDS, *(f"-{sort}" for sort in SORT_FIELDS)]
SORTING = ("TEMP B-TREE", "Sort")  # parts of a step that sorts
INDEXES = sorted(Item.core().indexes, key=lambda index: str(index.name))


@pytest.fixture
def filled(store: ItemStore, clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> ItemStore:
    """A store in which the walk of a search ends before the first item, which is unlike others."""
    monkeypatch.setattr(search_plan, "FIRST_ROWS", 2)
    store.create(name="Rare", price="99", currency="JPY", sku="R-1", tags=("gift",))
    for _ in range(6):
        clock.advance(seconds=10)
        store.create()
    return store


def plans(store: ItemStore, *, own: bool, **query: Any) -> list[str]:
    """Return the steps of all plans for the first page of a query."""
    owner = store.ada if own else None
    return query_plans(
        store.database, lambda: store.items.get_page(ItemListQuery(**query), owner=owner)
    )


@pytest.mark.parametrize("query", [{}, {"q": "lamp"}], ids=["all", "search"])
@pytest.mark.parametrize("own", [True, False], ids=["own", "everybody's"])
@pytest.mark.parametrize("sort", SORT_ORDERS)
def test_a_list_is_read_along_the_index_of_its_order(
    filled: ItemStore, sort: str, own: bool, query: dict[str, Any]
) -> None:
    """S-101: the last page costs what the first one costs; nothing is sorted."""
    steps = plans(filled, own=own, sort=sort, limit=2, **query)
    field = sort.removeprefix("-")
    wanted = f"ix_itemsapi_item_{'owner_id_' * own}{field}_id"
    assert any(wanted in step for step in steps)
    assert not [step for step in steps if any(words in step for words in SORTING)]


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("query", [{}, {"q": "lamp"}], ids=["all", "search"])
def test_a_later_page_is_searched_not_scanned(filled: ItemStore, query: dict[str, Any]) -> None:
    """The index is searched for the row value of the cursor."""
    first = filled.items.get_page(ItemListQuery(limit=1, **query), owner=filled.ada)
    steps = plans(filled, own=True, limit=1, cursor=first.next_cursor, **query)
    assert any("(owner_id=? AND (created_at,id)<(?,?))" in step for step in steps)


@pytest.mark.parametrize("own", [True, False], ids=["own", "everybody's"])
@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"price_min": "99"}, "price_id"),
        ({"price_min": "99", "price_max": "100"}, "price_id"),
        ({"sort": "price", "price_min": "99"}, "price_id"),
        ({"created_to": 1, "sort": "name"}, "created_at_id"),
        ({"updated_to": 1}, "updated_at_id"),
    ],
)
def test_a_rare_value_is_looked_up_in_the_index_of_its_column(
    filled: ItemStore, query: dict[str, Any], index: str, own: bool
) -> None:
    """S-101: the other items are not read; the few found are fetched by their key."""
    start = filled.items.get_page(ItemListQuery(sort="created_at"), owner=None).items[0].created_at
    for name in query.keys() & {"created_to", "updated_to"}:
        query = query | {name: start + timedelta(seconds=query[name])}
    steps = plans(filled, own=own, **query)
    assert any(index in step for step in steps)
    assert not [step for step in steps if step.startswith("SCAN item") and "INDEX" not in step]


def test_a_sku_is_looked_up_in_its_index(filled: ItemStore) -> None:
    """S-101: one sku of many owners; SQLite names the index of a constraint itself."""
    wanted = {"sqlite": "INDEX sqlite_autoindex_itemsapi_item_1 (sku=?", "postgresql": "item_sku"}
    steps = plans(filled, own=False, sku="R-1")
    assert any(wanted[filled.database.dialect] in step for step in steps)


@pytest.mark.parametrize("own", [True, False], ids=["own", "everybody's"])
@pytest.mark.parametrize(
    "query", [{"q": "rare"}, {"q": "ra"}, {"tags": ("gift",)}, {"currency": "JPY"}], ids=str
)
def test_a_rare_word_is_looked_up_in_the_text_index(
    filled: ItemStore, query: dict[str, Any], own: bool
) -> None:
    """S-101: a word, a prefix, a tag or a currency."""
    wanted = {"sqlite": "itemsapi_item_text VIRTUAL", "postgresql": "ix_itemsapi_item_text_words"}
    steps = plans(filled, own=own, **query)
    assert any(wanted[filled.database.dialect] in step for step in steps)


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: str(index.name))
def test_an_index_is_used_by_the_list_that_it_is_for(filled: ItemStore, index: Index) -> None:
    """Each one costs every insert: one that no list needs would be wrong."""
    own = index.columns.keys()[0] == "owner_id"
    [sort] = {*index.columns.keys()} & {*SORT_FIELDS}
    assert any(str(index.name) in step for step in plans(filled, own=own, sort=sort))
