"""The plan of a search: whatever way a page is found, the pages together are the whole list."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from itemsapi.db import Lookup
from itemsapi.items import search_plan
from itemsapi.items.list_statements import ListShape, range_lookup, sample_lookup
from itemsapi.items.models import SORT_FIELDS, ItemRecord
from itemsapi.items.query import ItemListQuery
from itemsapi.items.tokenizer import search_terms, tokenize
from itemsapi.testing import MovableClock
from support.item_store import ItemStore

SORT_ORDERS = [*SORT_FIELDS, *(f"-{sort}" for sort in SORT_FIELDS)]
COUNT = 150  # items in the varied store
WORDS = {"alpha": 0.5, "beta": 0.3, "gamma": 0.05, "東京都": 0.2}
SMALL = {  # the numbers of the plan, in proportion to so few items
    "FIRST_ROWS": 6,
    "MAX_STEP_ROWS": 12,
    "MAX_WALK_SECONDS": 0,  # one step
    "EXPECTED_WALK_ROWS": 10,
    "MAX_FOUND": 4,
    "MAX_WORD_ITEMS": 40,
}
TIMES = st.integers(0, COUNT // 2)  # seconds after the first item


@pytest.fixture
def small_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan for few items, so that each of its ways is taken."""
    for name, value in SMALL.items():
        monkeypatch.setattr(search_plan, name, value)


@pytest.fixture
def varied_store(store: ItemStore, clock: MovableClock, small_plan: None) -> ItemStore:
    """A store of items with words, tags, prices and times in all combinations, of two owners."""
    chance, owners = Random(7), [store.ada, store.create_owner()]  # noqa: S311 - not a secret
    for n in range(COUNT):
        clock.advance(seconds=n % 2)
        words = [word for word, share in WORDS.items() if chance.random() < share]
        item = store.create(
            owner=chance.choice(owners),
            name=f"{chance.choice('aZ')} {' '.join(words)}",
            price=str(chance.randrange(20)),
            currency=chance.choices(["EUR", "USD", "JPY"], [80, 18, 2])[0],
            tags=tuple(chance.sample(["red", "old car", "new"], chance.randrange(3))),
            quantity=chance.randrange(4),
            sku=f"S{n // 2}-{chance.random()}" if n % 3 else f"S{n}",
        )
        if n % 5 == 0:
            clock.advance(seconds=1)
            store.items.update(item.id, {"quantity": 9}, owner=None, version=1)
    return store


def filters() -> st.SearchStrategy[dict[str, Any]]:
    """Return any combination of filters; times are seconds after the first item."""
    words = st.sampled_from(["a", "alpha", "alp beta", "gamma", "alpha gamma", "東", "nothing"])
    prices = st.integers(0, 20).map(str)
    return st.fixed_dictionaries(
        {},
        optional={
            "q": words,
            "tags": st.sampled_from([("red",), ("red", "old car"), ("none",)]),
            "currency": st.sampled_from(["EUR", "USD", "JPY", "GBP"]),
            "sku": st.sampled_from(["S3", "none"]),
            "price_min": prices,
            "price_max": prices,
            "created_from": TIMES,
            "created_to": TIMES,
            "updated_from": TIMES,
            "updated_to": TIMES,
        },
    )


def passes(item: ItemRecord, query: dict[str, Any]) -> bool:
    """Return whether an item passes all filters, by its own fields."""
    words = tokenize(" ".join([item.name, item.sku or "", *item.tags, item.currency]))
    tests: dict[str, Callable[[Any], bool]] = {
        "q": lambda q: all(_has(words, *term) for term in search_terms(q)),
        "tags": lambda tags: {*tags} <= {*item.tags},
        "currency": lambda code: item.currency == code,
        "sku": lambda sku: item.sku == sku,
        "price_min": lambda price: float(item.price) >= float(price),
        "price_max": lambda price: float(item.price) <= float(price),
        "created_from": lambda time: item.created_at >= time,
        "created_to": lambda time: item.created_at < time,
        "updated_from": lambda time: item.updated_at >= time,
        "updated_to": lambda time: item.updated_at < time,
    }
    return all(tests[name](value) for name, value in query.items())


def _has(words: set[str], word: str, prefix: bool) -> bool:
    return any(each.startswith(word) for each in words) if prefix else word in words


def sort_key(sort: str) -> Callable[[ItemRecord], Any]:
    """Return the key of a sort order; prices compare as numbers."""
    field = sort.removeprefix("-")
    value = attrgetter(field)
    return lambda item: (float(item.price) if field == "price" else value(item), item.id)


def all_pages(store: ItemStore, owner: str | None, query: dict[str, Any]) -> list[ItemRecord]:
    """Return the items of all pages; there are at most as many pages as items."""
    pages: list[Sequence[ItemRecord]] = []
    for page in store.pages(owner=owner, **query):
        pages.append(page)
        assert len(pages) <= COUNT
    return [item for page in pages for item in page]


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    query=filters(), sort=st.sampled_from(SORT_ORDERS), limit=st.integers(1, 60), own=st.booleans()
)
def test_the_pages_together_are_the_whole_list(
    varied_store: ItemStore, query: dict[str, Any], sort: str, limit: int, own: bool
) -> None:
    """S-101: every item that passes the filters, in order and once, whatever pages are short."""
    owner = varied_store.ada if own else None
    everything = all_pages(varied_store, owner, {"sort": "created_at"})
    start = everything[0].created_at
    timed = {
        name: start + timedelta(seconds=value) if name.endswith(("_from", "_to")) else value
        for name, value in query.items()
    }
    truth = sorted(
        (item for item in everything if passes(item, timed)),
        key=sort_key(sort),
        reverse=sort.startswith("-"),
    )
    assert all_pages(varied_store, owner, {**timed, "sort": sort, "limit": limit}) == truth


def first_page(store: ItemStore, **query: Any) -> tuple[list[str], bool]:
    """Return the names on the first page of all items, and whether more may follow."""
    page = store.items.get_page(ItemListQuery(**query), owner=None)
    return [item.name for item in page.items], page.next_cursor is not None


def create_many(store: ItemStore, names: Sequence[str], clock: MovableClock, **fields: Any) -> None:
    """Create items, one each second."""
    for name in names:
        clock.advance(seconds=1)
        store.create(name=name, **fields)


@pytest.mark.usefixtures("small_plan")
def test_a_page_is_empty_and_has_a_cursor_when_the_budget_is_used_up(
    store: ItemStore, clock: MovableClock
) -> None:
    """S-101: two common words that nearly never occur together."""
    create_many(store, ["both: odd even", *["odd", "even"] * 40], clock)
    assert first_page(store, q="odd even") == ([], True)
    assert [item.name for item in all_pages(store, None, {"q": "odd even"})] == ["both: odd even"]


@pytest.mark.usefixtures("small_plan")
def test_all_items_with_a_sku_are_listed_when_very_many_users_have_it(
    store: ItemStore, clock: MovableClock
) -> None:
    """Each of them may have one, and an administrator sees all."""
    users = search_plan.MAX_FOUND + 2
    for _ in range(users):
        create_many(store, ["lamp"], clock, sku="S", owner=store.create_owner())
    assert len(all_pages(store, None, {"sku": "S"})) == users


@pytest.mark.usefixtures("small_plan")
def test_a_rare_word_is_found_at_once_when_it_is_far_from_the_start(
    store: ItemStore, clock: MovableClock
) -> None:
    """Its index is asked, and the other filters are tested; nothing follows."""
    create_many(store, ["Lamp rare", *["Lamp"] * 40], clock)
    assert first_page(store, q="lamp rare", currency="EUR") == (["Lamp rare"], False)


@pytest.mark.usefixtures("small_plan")
@pytest.mark.parametrize(
    ("fields", "query"),
    [
        ({"price": "99"}, {"price_min": "50", "q": "lamp"}),
        ({"price": "99"}, {"price_min": "50", "price_max": "100"}),
        ({"currency": "JPY", "price": "5"}, {"currency": "JPY"}),
        ({"tags": ("gift",)}, {"tags": ("gift",)}),
        ({"sku": "L-1"}, {"sku": "L-1"}),
    ],
)
def test_a_rare_value_is_found_at_once_when_it_is_far_from_the_start(
    store: ItemStore, clock: MovableClock, fields: dict[str, Any], query: dict[str, Any]
) -> None:
    """A price, a currency, a tag, a sku: each has an index."""
    create_many(store, ["Lamp first"], clock, **fields)
    create_many(store, ["Lamp"] * 40, clock)
    assert first_page(store, **query) == (["Lamp first"], False)


@pytest.mark.usefixtures("small_plan")
@pytest.mark.parametrize("field", ["created", "updated"])
def test_a_rare_time_is_found_at_once_when_the_list_has_another_order(
    store: ItemStore, clock: MovableClock, field: str
) -> None:
    """By the index of the times."""
    create_many(store, ["Z"], clock)
    until: datetime = clock() + timedelta(seconds=1)
    create_many(store, ["Lamp"] * 40, clock)
    assert first_page(store, sort="name", **{f"{field}_to": until}) == (["Z"], False)


@pytest.mark.usefixtures("small_plan")
@pytest.mark.parametrize(
    ("fields", "query"), [({}, {"q": "rare"}), ({"price": "99"}, {"price_min": "50"})]
)
def test_pages_of_rare_items_follow_each_other(
    store: ItemStore, clock: MovableClock, fields: dict[str, Any], query: dict[str, Any]
) -> None:
    """S-101: the cursor counts also where an index is asked."""
    for number in (3, 2, 1):
        create_many(store, [f"Rare {number}"], clock, **fields)
        create_many(store, ["Lamp"] * 20, clock)
    found = all_pages(store, None, {**query, "limit": 1})
    assert [item.name for item in found] == ["Rare 1", "Rare 2", "Rare 3"]


@pytest.mark.usefixtures("small_plan")
def test_a_rare_item_passes_the_filter_on_the_sorted_field(
    store: ItemStore, clock: MovableClock
) -> None:
    """The index of its word knows nothing of prices."""
    create_many(store, ["Rare"], clock, price="99")
    create_many(store, ["Lamp"] * 40, clock, price="1")
    assert first_page(store, q="rare", sort="price", price_max="50") == ([], False)


@pytest.mark.usefixtures("small_plan")
@pytest.mark.parametrize("query", [{"price_min": "50"}, {"sku": "L-1"}, {"created_to": 60}])
def test_a_rare_value_of_another_owner_is_not_found(
    store: ItemStore, clock: MovableClock, query: dict[str, Any]
) -> None:
    """S-081: neither by the index of a column, nor among the items that are fetched by number."""
    start = clock()
    create_many(store, ["Other"], clock, owner=store.create_owner(), price="99", sku="L-1")
    clock.advance(seconds=60)
    create_many(store, ["Lamp"] * 40, clock)
    query = {n: start + timedelta(seconds=v) if n == "created_to" else v for n, v in query.items()}
    assert store.names(sort="name", **query) == []


@pytest.mark.usefixtures("small_plan")
def test_a_rare_word_of_another_owner_is_not_found(store: ItemStore, clock: MovableClock) -> None:
    """S-081: neither in the walk nor in the text index."""
    create_many(store, ["Lamp rare"], clock, owner=store.create_owner())
    create_many(store, ["Lamp"] * 40, clock)
    assert store.names(q="rare") == []


def create_far_away(store: ItemStore, clock: MovableClock) -> None:
    """Create a rare item of ada's behind many others, and as many of another owner as are asked."""
    create_many(store, ["Lamp rare"] * 5, clock, owner=store.create_owner())
    create_many(store, ["Lamp rare", *["Lamp"] * 30], clock)


@pytest.mark.usefixtures("small_plan")
def test_a_rare_word_is_found_at_once_when_many_items_of_others_have_it(
    store: ItemStore, clock: MovableClock
) -> None:
    """Their number does not matter to an owner of few items."""
    create_far_away(store, clock)
    page = store.items.get_page(ItemListQuery(q="rare"), owner=store.ada)
    assert (len(page.items), page.next_cursor) == (1, None)


@pytest.mark.usefixtures("small_plan")
def test_the_owner_is_no_word_when_they_have_many_items(
    store: ItemStore, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of all their items would take longer than a short page."""
    create_far_away(store, clock)
    monkeypatch.setattr(search_plan, "MAX_WORD_ITEMS", 20)
    page = store.items.get_page(ItemListQuery(q="rare"), owner=store.ada)
    assert (len(page.items), page.next_cursor is None) == (0, False)


@pytest.mark.parametrize(
    ("most", "found"), [(3, [("Lamp", 0)] * 3), (2, [("Lamp", 1)])], ids=["few", "many"]
)
def test_the_index_of_a_column_returns_no_items_when_it_finds_many(
    store: ItemStore, clock: MovableClock, most: int, found: list[tuple[str, int]]
) -> None:
    """One of them says that there are more; the index alone tells."""
    create_many(store, ["Lamp"] * 3, clock, price="5")
    names = frozenset({"price_min"})
    shape = ListShape(store.database.dialect, "created_at", names, many=False)
    params = {"price_min": 50_000, "row_limit": 9}
    rows = store.database.fetch(range_lookup(shape, "price", most), params)
    assert [(row[2], row[-1]) for row in rows] == found


@pytest.mark.parametrize(
    ("rows", "seconds", "seconds_left", "step"),
    [
        (500, 0.001, 0.010, 1000),
        (4000, 0.001, 0.010, 4000),
        (1000, 0.010, 0.006, 500),
        (500, 0.010, 0.004, 0),
        (500, 0.020, -0.005, 0),
        (500, 0, 0.015, 1000),
    ],
)
def test_a_step_of_a_walk_is_as_long_as_the_time_that_is_left(
    rows: int, seconds: float, seconds_left: float, step: int
) -> None:
    """It is at most twice as long as the one before, and none if too little time is left."""
    assert search_plan.next_step(rows, seconds, seconds_left) == step


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"half": 0.5, "none": 0}, {"none"}),
        ({"tenth": 0.1, "twentieth": 0.05, "half": 0.5}, {"tenth", "twentieth"}),
        ({"all": 1}, set()),
    ],
)
def test_the_text_index_is_asked_for_as_few_words_as_find_few_items(
    shares: dict[str, float], words: set[str]
) -> None:
    """Of 100,000 items; each word costs the time of all that have it."""
    assert search_plan.rare_words(shares, 100_000, 100_000) == words


@pytest.mark.usefixtures("small_plan")
def test_the_index_of_a_column_is_asked_when_only_the_first_rows_pass(
    store: ItemStore, clock: MovableClock
) -> None:
    """A walk would go on in vain."""
    create_many(store, ["Lamp"] * 40, clock)
    create_many(store, ["Lamp", "Lamp", "Lamp"], clock, price="99")
    assert first_page(store, price_min="50", limit=6) == (["Lamp"] * 3, False)


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
@pytest.mark.usefixtures("small_plan")
def test_a_search_uses_one_connection(store: ItemStore, clock: MovableClock) -> None:
    """The pool asks the server before each use whether a connection works."""
    create_many(store, ["Lamp rare", *["Lamp"] * 40], clock)
    used: list[object] = []
    event.listen(store.database.engine, "checkout", lambda *_: used.append(None))
    assert store.names(q="rare", price_min="1") == ["Lamp rare"]
    assert len(used) == 1


@pytest.mark.usefixtures("small_plan")
def test_the_walk_goes_on_when_enough_rows_pass(store: ItemStore, clock: MovableClock) -> None:
    """Every third row passes: no index is asked, and the page is full."""
    create_many(store, ["Lamp", "Table", "Chair"] * 20, clock)
    assert first_page(store, q="lamp", limit=6) == (["Lamp"] * 6, True)


@pytest.mark.usefixtures("small_plan")
def test_a_short_page_loses_no_item_when_the_next_row_is_deleted(
    store: ItemStore, clock: MovableClock
) -> None:
    """The cursor names the place where the walk stopped, also if its row is gone."""
    create_many(store, ["odd even", *["odd", "even"] * 14], clock)
    page = store.items.get_page(ItemListQuery(q="odd even"), owner=None)
    for item in store.items.get_page(ItemListQuery(limit=22), owner=None).items:
        store.items.delete(item.id, owner=None, version=None)
    rest = ItemListQuery(q="odd even", cursor=page.next_cursor)
    found = store.items.get_page(rest, owner=None).items
    assert ([*page.items], [item.name for item in found]) == ([], ["odd even"])


@pytest.mark.usefixtures("small_plan")
def test_a_search_finds_nothing_when_all_items_are_deleted_while_it_runs(
    store: ItemStore, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row is left for the sample, of which shares are made."""
    create_many(store, ["odd", "even"] * 15, clock)
    items = store.items.get_page(ItemListQuery(limit=30), owner=None).items

    def delete_first(*arguments: Any) -> Lookup:
        """Delete everything after the walk, before the sample."""
        for item in items:
            store.items.delete(item.id, owner=None, version=None)
        return sample_lookup(*arguments)

    monkeypatch.setattr(search_plan, "sample_lookup", delete_first)
    page = store.items.get_page(ItemListQuery(q="odd even"), owner=None)
    assert [*page.items] == []


@pytest.mark.usefixtures("small_plan")
def test_a_long_page_ends_at_its_bytes_when_many_rows_pass(
    store: ItemStore, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-111: the bytes of a page are bounded for a search too, and nothing is lost."""
    monkeypatch.setattr(search_plan, "MAX_WALK_SECONDS", 3600)
    names = [f"Lamp {n:03}" for n in range(130)]
    create_many(store, names, clock, description="x" * 10_000)
    pages = [*store.pages(q="lamp", sort="name", limit=200)]
    assert [item.name for page in pages for item in page] == names
    assert 95 < len(pages[0]) < 105
