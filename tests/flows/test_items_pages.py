"""Lists: pages by key, in every order, narrowed by every filter, along an search_index."""

from collections.abc import Callable
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import pytest
from sqlalchemy import event

from itemsapi.db import Database
from itemsapi.items import search_index
from itemsapi.items.models import SORT_FIELDS
from itemsapi.items.query import ItemListQuery
from itemsapi.problems import ValidationFailed
from support.app_factory import MovingClock
from support.item_store import ItemStore

ORDERS = [*SORT_FIELDS, *(f"-{sort}" for sort in SORT_FIELDS)]


@pytest.fixture
def stock(database: Database, clock: MovingClock) -> ItemStore:
    """An empty shelf."""
    return ItemStore(database, clock)


@pytest.fixture
def varied(stock: ItemStore, clock: MovingClock) -> ItemStore:
    """A shelf of items, many of which are equal in what they are sorted by; and a stranger's."""
    stock.create(owner=stock.create_owner(), name="Stranger")
    for n in range(12):
        clock.advance(seconds=n % 2)
        stock.create(name="aäZ😀"[n % 4], price=f"{n % 3}.50", quantity=n % 5, sku=f"S{n}")
    return stock


@pytest.mark.parametrize("sort", ORDERS)
@pytest.mark.parametrize("limit", [1, 5, 12])
def test_pages_hold_every_item_once_in_order(varied: ItemStore, sort: str, limit: int) -> None:
    """Equal values are told apart by id, so that nothing is lost or shown twice."""
    key = attrgetter(sort.removeprefix("-"), "id")
    pages = list(varied.pages(sort=sort, limit=limit))
    seen = [key(item) for page in pages for item in page]
    assert seen == sorted(set(seen), reverse=sort.startswith("-"))
    assert (len(seen), len(pages)) == (12, -(-12 // limit))


def test_pages_go_on_behind_an_item_that_is_gone(varied: ItemStore) -> None:
    """A cursor holds a place, not an item."""
    first = varied.items.get_page(ItemListQuery(sort="name", limit=4), owner=varied.ada)
    for item in first.items:
        varied.items.delete(item.id, owner=varied.ada, version=1)
    rest = ItemListQuery(sort="name", limit=50, cursor=first.next_cursor)
    assert len(varied.items.get_page(rest, owner=varied.ada).items) == 8


def test_pages_hold_everybodys_items_without_an_owner(varied: ItemStore) -> None:
    """The stranger's too."""
    assert sum(len(page) for page in varied.pages(owner=None, limit=4)) == 13


@pytest.mark.parametrize(
    "other", [{"sort": "name"}, {"sort": "-quantity"}, {"q": "a"}, {"sku": "S1"}, {"owner": None}]
)
def test_a_cursor_is_refused_when_it_belongs_to_another_list(
    varied: ItemStore, other: dict[str, Any]
) -> None:
    """Another order, another filter, another reader (S-081)."""
    cursor = varied.items.get_page(
        ItemListQuery(sort="quantity", limit=1), owner=varied.ada
    ).next_cursor
    asked: dict[str, Any] = {"sort": "quantity", "cursor": cursor, "owner": varied.ada} | other
    owner = asked.pop("owner")
    with pytest.raises(ValidationFailed):
        varied.items.get_page(ItemListQuery(**asked), owner=owner)


def from_start(seconds: float) -> Callable[[ItemStore], datetime]:
    """Return a moment seconds after the first item was made."""
    return lambda stock: (
        stock.items.get_page(ItemListQuery(sort="created_at", limit=1), owner=stock.ada)
        .items[0]
        .created_at
        + timedelta(seconds=seconds)
    )


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"sku": "S7"}, 1),
        ({"sku": "s7"}, 0),
        ({"price_min": "1.5"}, 8),
        ({"price_max": "1.5"}, 8),
        ({"price_min": "1.50", "price_max": "1.5000", "currency": "EUR"}, 4),
        ({"price_min": "1.5", "currency": "USD"}, 0),
        ({"currency": "EUR"}, 12),
        ({"currency": "USD"}, 0),
        ({"created_from": from_start(1)}, 11),
        ({"created_to": from_start(1)}, 1),
        ({"updated_from": from_start(6)}, 1),
        ({"updated_to": from_start(6), "created_from": from_start(5)}, 2),
        ({"q": "z", "price_min": "2.5"}, 1),
    ],
)
def test_a_filter_narrows_the_list(varied: ItemStore, query: dict[str, Any], count: int) -> None:
    """Prices from and to are in, a moment from is in and one to is out, and all must hold."""
    asked = {k: v(varied) if callable(v) else v for k, v in query.items()}
    assert len(varied.names(**asked)) == count


def test_the_owner_filter_is_an_operators(varied: ItemStore) -> None:
    """S-081: asked by anybody else it never widens the list."""
    stranger = varied.items.get_page(ItemListQuery(q="stranger"), owner=None).items[0].owner_id
    assert varied.names(owner=None, owner_id=stranger) == ["Stranger"]
    assert varied.names(owner_id=stranger) == []
    assert len(varied.names(owner_id=varied.ada)) == 12


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])  # noqa: DTZ901
def test_the_first_and_last_moments_are_moments(
    varied: ItemStore, clock: MovingClock, moment: datetime
) -> None:
    """S-014: the ends of the calendar are no error."""
    bound = moment.replace(tzinfo=clock.current.tzinfo)
    assert len(varied.names(created_from=bound)) in {0, 12}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("whose", ["own", "everybody's"])
@pytest.mark.parametrize(
    "query",
    [
        *({"sort": sort} for sort in ORDERS),
        {"sku": "S1"},
        {"sort": "price", "price_min": "1", "price_max": "2"},
        {"created_from": from_start(0), "created_to": from_start(1)},
        {"q": "lamp"},
        {"tags": ("home",)},
        {"currency": "EUR"},
    ],
)
def test_every_list_runs_along_an_index(
    varied: ItemStore, whose: str, query: dict[str, Any]
) -> None:
    """S-101: the deepest page costs what the first one costs, and no list reads the table."""
    asked = {k: v(varied) if callable(v) else v for k, v in query.items()}
    plans = explained(varied, None if whose == "everybody's" else varied.ada, asked)
    assert not [step for step in plans if step.startswith("SCAN item") and "INDEX" not in step]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_deep_page_is_searched_not_scanned(varied: ItemStore) -> None:
    """The row value of the cursor is where the index is entered."""
    cursor = varied.items.get_page(ItemListQuery(limit=1), owner=varied.ada).next_cursor
    plans = explained(varied, varied.ada, {"cursor": cursor})
    assert "(owner_id=? AND (created_at,id)<(?,?))" in plans[0]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_many_matches_are_met_along_an_index_not_sorted(
    varied: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-101: a word that most hold costs a page, not everybody's whole shelves."""
    monkeypatch.setattr(search_index, "MAX_SORTED_MATCHES", 2)
    plans = explained(varied, None, {"q": "a"})
    assert any("INDEX ix_item_created_at_id" in step for step in plans)
    assert not [step for step in plans if "TEMP B-TREE" in step]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "query", [{"q": "lamp"}, {"tags": ("home",)}, {"currency": "USD"}], ids=str
)
def test_what_few_items_hold_is_looked_up(varied: ItemStore, query: dict[str, Any]) -> None:
    """S-101: a word, a tag or a currency; no walk past all the other items."""
    plans = explained(varied, varied.ada, query)
    assert any("item_text" in step for step in plans)


def explained(stock: ItemStore, owner: str | None, query: dict[str, Any]) -> list[str]:
    """Return the steps that SQLite takes for a page of a query."""
    seen: list[tuple[str, Any]] = []
    engine = stock.database.engine

    def see(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        seen.append((sql, parameters))

    event.listen(engine, "before_cursor_execute", see)
    stock.items.get_page(ItemListQuery(**query), owner=owner)
    event.remove(engine, "before_cursor_execute", see)
    with stock.database.reading() as connection:
        rows = [
            row
            for sql, parameters in seen
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)
        ]
    return [row[3] for row in rows]
