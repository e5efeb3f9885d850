"""Search: SQLite and PostgreSQL find the same items, in every script, whatever the query."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from itemsapi.control_characters import has_control_characters
from itemsapi.items.tokenizer import search_terms
from support.item_store import ItemStore

ANY = st.characters(exclude_categories=["Cs"])
TEXT = st.text(ANY.filter(lambda sign: not has_control_characters(sign)), max_size=40)
on_one_database = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(
    "query", ["京", "東京", "東京都", "都庁", "東京都庁", "写真", "とうきょう ﾃﾚﾋﾞ"]
)
def test_any_part_of_a_japanese_text_is_found(store: ItemStore, query: str) -> None:
    """There are no spaces between words; parts of one character or many, of any width."""
    store.create(name="東京都庁の写真", description="とうきょうとちょう、テレビ")
    assert store.names(q=query) == ["東京都庁の写真"]


@pytest.mark.parametrize("query", ["京東", "京都市", "東都", "庁舎", "写真家"])
def test_a_japanese_text_is_not_found_by_other_text(store: ItemStore, query: str) -> None:
    """The characters must be adjacent."""
    store.create(name="東京都庁の写真、京都")
    assert store.names(q=query) == []


@pytest.mark.parametrize(
    "query", ["desk", "LAMP", "lam", "des la", "brass", "l-1", "home", "\uff4c\uff41\uff4d\uff50"]
)
def test_an_item_is_found_by_the_beginning_of_its_words(store: ItemStore, query: str) -> None:
    """In name, description, sku and tags, in any case and order; all words must match."""
    store.create(name="Desk Lamp", description="Made of brass.", sku="L-1", tags=("home",))
    assert store.names(q=query) == ["Desk Lamp"]


@pytest.mark.parametrize("query", ["amp", "lamp desks", "lampshade", "?!", '"'])
def test_an_item_is_not_found_by_other_words(store: ItemStore, query: str) -> None:
    """Neither by the middle of a word, nor with a missing word, nor without any word."""
    store.create(name="Desk Lamp")
    assert store.names(q=query) == []


def test_the_index_follows_a_change_at_once(store: ItemStore) -> None:
    """It changes in the transaction of the item."""
    item = store.create(name="Lamp")
    store.items.update(item.id, {"name": "Table"}, owner=store.ada, version=1)
    assert store.names(q="table") == ["Table"]
    assert store.names(q="lamp") == []


def test_the_index_is_unchanged_when_a_change_is_rejected(store: ItemStore) -> None:
    """Item and words are stored together or not at all."""
    store.create(name="Lamp", sku="a")
    item = store.create(name="Table", sku="b")
    with pytest.raises(Exception, match="sku"):
        store.items.update(item.id, {"name": "X", "sku": "a"}, owner=store.ada, version=1)
    assert (store.names(q="table"), store.names(q="x")) == (["Table"], [])


def test_items_of_other_users_are_not_found(store: ItemStore) -> None:
    """S-081: by word, by tag, by currency; without an owner they are found."""
    store.create(name="Lamp", tags=("home",), owner=store.create_owner())
    for query in ({"q": "lamp"}, {"tags": ("home",)}, {"currency": "EUR"}):
        assert (store.names(**query), store.names(owner=None, **query)) == ([], ["Lamp"])


def test_an_item_is_found_by_whole_tags_when_it_has_all_of_them(store: ItemStore) -> None:
    """In whatever spelling a tag is sent."""
    store.create(name="A", tags=("red", "old car"))
    store.create(name="B", tags=("red",))
    assert sorted(store.names(tags=("RED",))) == ["A", "B"]
    assert store.names(tags=("red", "Old  Car")) == ["A"]
    assert store.names(tags=("car",)) == store.names(tags=("re",)) == []


@given(query=st.text(max_size=40).filter(lambda text: "\0" not in text))
@example(query="NEAR(a b) OR words:* - ^ {} ' \\ :A <-> & | ! @x #y $eur")
@on_one_database
def test_no_query_breaks_the_search(store: ItemStore, query: str) -> None:
    """S-014: no operator of either database is reached, no text causes an error."""
    storable = query.encode(errors="ignore").decode()
    assert len(store.names(q=storable)) <= 50


@given(name=TEXT.filter(bool), description=TEXT, tag=st.from_regex(r"\w{1,8}", fullmatch=True))
@example(name="㌀㌔", description="Ω ς İ ß ŉ ﷺ", tag="ﬀ")
@on_one_database
def test_an_item_is_found_by_each_of_its_words(
    store: ItemStore, name: str, description: str, tag: str
) -> None:
    """In any script: each word of name, description and tags finds the item."""
    item = store.create(name=name, description=description, tags=(tag,), owner=store.create_owner())
    for word in f"{name} {description} {tag}".split():
        if search_terms(word):
            assert store.names(owner=item.owner_id, q=word) == [name]
