"""Lists: pages in every order, narrowed by every filter, along an index."""

from collections.abc import Callable
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import pytest

from itemsapi.items.models import SORT_FIELDS
from itemsapi.items.query import ItemListQuery
from itemsapi.problems import ValidationFailed
from itemsapi.testing import MovableClock
from support.item_store import ItemStore

SORT_ORDERS = [*SORT_FIELDS, *(f"-{sort}" for sort in SORT_FIELDS)]


@pytest.fixture
def varied_store(store: ItemStore, clock: MovableClock) -> ItemStore:
    """A store of items, many with equal sort values; and an item of another user."""
    store.create(owner=store.create_owner(), name="Stranger")
    for n in range(12):
        clock.advance(seconds=n % 2)
        store.create(name="aäZ😀"[n % 4], price=f"{n % 3}.50", quantity=n % 5, sku=f"S{n}")
    return store


@pytest.mark.parametrize("sort", SORT_ORDERS)
@pytest.mark.parametrize("limit", [1, 5, 12])
def test_every_item_is_on_one_page_in_order(varied_store: ItemStore, sort: str, limit: int) -> None:
    """Equal values are ordered by id, so that no item is lost or shown twice."""
    key = attrgetter(sort.removeprefix("-"), "id")
    pages = list(varied_store.pages(sort=sort, limit=limit))
    seen = [key(item) for page in pages for item in page]
    assert seen == sorted(set(seen), reverse=sort.startswith("-"))
    assert (len(seen), len(pages)) == (12, -(-12 // limit))


def test_the_next_page_continues_when_the_last_item_was_deleted(varied_store: ItemStore) -> None:
    """A cursor contains a position, not an item."""
    first = varied_store.items.get_page(ItemListQuery(sort="name", limit=4), owner=varied_store.ada)
    for item in first.items:
        varied_store.items.delete(item.id, owner=varied_store.ada, version=1)
    rest = ItemListQuery(sort="name", limit=50, cursor=first.next_cursor)
    assert len(varied_store.items.get_page(rest, owner=varied_store.ada).items) == 8


def test_pages_contain_the_items_of_all_users_without_an_owner(varied_store: ItemStore) -> None:
    """The stranger's too."""
    assert sum(len(page) for page in varied_store.pages(owner=None, limit=4)) == 13


@pytest.mark.parametrize(
    "other", [{"sort": "name"}, {"sort": "-quantity"}, {"q": "a"}, {"sku": "S1"}, {"owner": None}]
)
def test_a_cursor_is_rejected_when_it_belongs_to_another_list(
    varied_store: ItemStore, other: dict[str, Any]
) -> None:
    """Another order, another filter, another reader (S-081)."""
    cursor = varied_store.items.get_page(
        ItemListQuery(sort="quantity", limit=1), owner=varied_store.ada
    ).next_cursor
    params: dict[str, Any] = {
        "sort": "quantity",
        "cursor": cursor,
        "owner": varied_store.ada,
    } | other
    owner = params.pop("owner")
    with pytest.raises(ValidationFailed):
        varied_store.items.get_page(ItemListQuery(**params), owner=owner)


def after_first_item(seconds: float) -> Callable[[ItemStore], datetime]:
    """Return the time this many seconds after the first item was created."""
    return lambda store: (
        store.items.get_page(ItemListQuery(sort="created_at", limit=1), owner=store.ada)
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
        ({"created_from": after_first_item(1)}, 11),
        ({"created_to": after_first_item(1)}, 1),
        ({"updated_from": after_first_item(6)}, 1),
        ({"updated_to": after_first_item(6), "created_from": after_first_item(5)}, 2),
        ({"q": "z", "price_min": "2.5"}, 1),
    ],
)
def test_a_filter_narrows_the_list(
    varied_store: ItemStore, query: dict[str, Any], count: int
) -> None:
    """Prices are inclusive, a start time too, an end time is exclusive; all filters must match."""
    params = {k: v(varied_store) if callable(v) else v for k, v in query.items()}
    assert len(varied_store.names(**params)) == count


def test_the_owner_filter_widens_a_list_for_operators_only(varied_store: ItemStore) -> None:
    """S-081: it never shows other users' items to anybody else."""
    stranger = (
        varied_store.items.get_page(ItemListQuery(q="stranger"), owner=None).items[0].owner_id
    )
    assert varied_store.names(owner=None, owner_id=stranger) == ["Stranger"]
    assert varied_store.names(owner_id=stranger) == []
    assert len(varied_store.names(owner_id=varied_store.ada)) == 12


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])  # noqa: DTZ901
def test_the_first_and_last_times_of_the_calendar_are_accepted(
    varied_store: ItemStore, clock: MovableClock, moment: datetime
) -> None:
    """S-014: they cause no error."""
    bound = moment.replace(tzinfo=clock.current.tzinfo)
    assert len(varied_store.names(created_from=bound)) in {0, 12}
