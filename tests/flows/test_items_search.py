"""Search: SQLite and PostgreSQL find the same, in every script, and whatever is asked."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from itemsapi.control_characters import has_control_characters
from itemsapi.db import Database
from itemsapi.items import search_index
from itemsapi.items.tokenizer import search_terms
from support.app_factory import MovingClock
from support.item_store import ItemStore

ANY = st.characters(exclude_categories=["Cs"])
TEXT = st.text(ANY.filter(lambda sign: not has_control_characters(sign)), max_size=40)
on_one_database = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def stock(database: Database, clock: MovingClock) -> ItemStore:
    """An empty shelf."""
    return ItemStore(database, clock)


@pytest.mark.parametrize(
    "query", ["京", "東京", "東京都", "都庁", "東京都庁", "写真", "とうきょう ﾃﾚﾋﾞ"]
)
def test_any_part_of_a_japanese_text_is_found(stock: ItemStore, query: str) -> None:
    """Without spaces to part the words, of one character or many, of any width."""
    stock.create(name="東京都庁の写真", description="とうきょうとちょう、テレビ")
    assert stock.names(q=query) == ["東京都庁の写真"]


@pytest.mark.parametrize("query", ["京東", "京都市", "東都", "庁舎", "写真家"])
def test_no_part_of_another_japanese_text_is_found(stock: ItemStore, query: str) -> None:
    """The characters must stand side by side."""
    stock.create(name="東京都庁の写真、京都")
    assert stock.names(q=query) == []


@pytest.mark.parametrize(
    "query", ["desk", "LAMP", "lam", "des la", "brass", "l-1", "home", "\uff4c\uff41\uff4d\uff50"]
)
def test_words_are_found_by_their_beginning(stock: ItemStore, query: str) -> None:
    """In name, description, sku and tags, in any case and order; all of them must be there."""
    stock.create(name="Desk Lamp", description="Made of brass.", sku="L-1", tags=("home",))
    assert stock.names(q=query) == ["Desk Lamp"]


@pytest.mark.parametrize("query", ["amp", "lamp desks", "lampshade", "?!", '"'])
def test_other_words_are_not_found(stock: ItemStore, query: str) -> None:
    """Neither the middle of a word, nor one that is missing, nor no word at all."""
    stock.create(name="Desk Lamp")
    assert stock.names(q=query) == []


def test_a_change_is_found_at_once_and_what_was_before_is_not(stock: ItemStore) -> None:
    """The index changes in the transaction of the item."""
    item = stock.create(name="Lamp")
    stock.items.update(item.id, {"name": "Table"}, owner=stock.ada, version=1)
    assert stock.names(q="table") == ["Table"]
    assert stock.names(q="lamp") == []


def test_a_refused_change_leaves_the_index_as_it_was(stock: ItemStore) -> None:
    """Item and words are stored together or not at all."""
    stock.create(name="Lamp", sku="a")
    item = stock.create(name="Table", sku="b")
    with pytest.raises(Exception, match="sku"):
        stock.items.update(item.id, {"name": "X", "sku": "a"}, owner=stock.ada, version=1)
    assert (stock.names(q="table"), stock.names(q="x")) == (["Table"], [])


def test_others_items_are_not_found(stock: ItemStore) -> None:
    """S-081: by word, by tag, by currency; with everybody's in reach they are."""
    stock.create(name="Lamp", tags=("home",), owner=stock.create_owner())
    for query in ({"q": "lamp"}, {"tags": ("home",)}, {"currency": "EUR"}):
        assert (stock.names(**query), stock.names(owner=None, **query)) == ([], ["Lamp"])


def test_tags_are_found_whole_and_together(stock: ItemStore) -> None:
    """Each tag asked for must be there, in whatever spelling it is asked for."""
    stock.create(name="A", tags=("red", "old car"))
    stock.create(name="B", tags=("red",))
    assert sorted(stock.names(tags=("RED",))) == ["A", "B"]
    assert stock.names(tags=("red", "Old  Car")) == ["A"]
    assert stock.names(tags=("car",)) == stock.names(tags=("re",)) == []


def test_many_matches_come_in_order(stock: ItemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are fetched by number are met along the sorted field instead, all the same."""
    monkeypatch.setattr(search_index, "MAX_SORTED_MATCHES", 2)
    for n in range(5):
        stock.create(name=f"Lamp {n}", quantity=n)
    pages = stock.pages(q="lamp", sort="-quantity", limit=2)
    assert [item.quantity for page in pages for item in page] == [4, 3, 2, 1, 0]


def test_many_matches_are_all_that_is_found(
    stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies between them along the sorted field is left out."""
    monkeypatch.setattr(search_index, "MAX_SORTED_MATCHES", 2)
    for n in range(6):
        stock.create(name=f"{('Lamp', 'Table')[n % 2]} {n}")
    assert stock.names(q="lamp", sort="name") == ["Lamp 0", "Lamp 2", "Lamp 4"]


@given(query=st.text(max_size=40).filter(lambda text: "\0" not in text))
@example(query="NEAR(a b) OR words:* - ^ {} ' \\ :A <-> & | ! @x #y $eur")
@on_one_database
def test_no_query_breaks_the_search(stock: ItemStore, query: str) -> None:
    """S-014: no operator of either database is reached, no text is an error."""
    storable = query.encode(errors="ignore").decode()
    assert len(stock.names(q=storable)) <= 50


@given(name=TEXT.filter(bool), description=TEXT, tag=st.from_regex(r"\w{1,8}", fullmatch=True))
@example(name="㌀㌔", description="Ω ς İ ß ŉ ﷺ", tag="ﬀ")
@on_one_database
def test_an_item_is_found_by_each_of_its_words(
    stock: ItemStore, name: str, description: str, tag: str
) -> None:
    """Whatever the script: each word of name, description and tags leads to the item."""
    item = stock.create(name=name, description=description, tags=(tag,), owner=stock.create_owner())
    for word in f"{name} {description} {tag}".split():
        if search_terms(word):
            assert stock.names(owner=item.owner_id, q=word) == [name]
