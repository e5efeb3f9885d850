"""The shelf: items are made, read, changed and taken away by who owns them."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from itemsapi.clock import new_id
from itemsapi.db import Database
from itemsapi.items.models import ItemRecord
from itemsapi.problems import Conflict, NotFound, PreconditionFailed, ValidationFailed
from support.app_factory import MovingClock
from support.item_store import ItemStore, draft

Change = Callable[[ItemStore, ItemRecord, str | None, int | None], object]
CHANGES: dict[str, Change] = {
    "change": lambda stock, item, owner, version: stock.items.update(
        item.id, {"name": "New"}, owner=owner, version=version
    ),
    "replace": lambda stock, item, owner, version: stock.items.replace(
        item.id, draft(name="New"), owner=owner, version=version
    ),
    "delete": lambda stock, item, owner, version: stock.items.delete(
        item.id, owner=owner, version=version
    ),
}

NOBODYS = "01a20682-5549-7dd3-88f4-5cb4b9399a52"  # fixed: names of tests stay


@pytest.fixture
def stock(database: Database, clock: MovingClock) -> ItemStore:
    """An empty shelf."""
    return ItemStore(database, clock)


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Change:
    """Each way to change an item, in turn."""
    return CHANGES[request.param]


def test_an_item_is_read_as_it_was_made(stock: ItemStore) -> None:
    """Nothing is rounded, cut or reordered."""
    said: dict[str, Any] = {"name": "灯", "description": "d", "sku": "s", "quantity": 2**31 - 1}
    item = stock.create(**said, price="1.234", currency="BHD", tags=("b", "a"))
    assert stock.items.get(item.id, owner=stock.ada) == item
    assert item._asdict() | said == item._asdict() | {"price": "1.234", "tags": ["b", "a"]}


def test_an_item_has_its_time_and_version(stock: ItemStore, clock: MovingClock) -> None:
    """Times are those of the clock to the microsecond, the first version is 1."""
    clock.advance(microseconds=123_456)
    item = stock.create()
    assert (item.created_at, item.updated_at, item.version) == (clock.current, clock.current, 1)


def test_a_change_leaves_the_rest_alone(stock: ItemStore, clock: MovingClock) -> None:
    """A partial change makes the next version of the same item."""
    item = stock.create(tags=("a",), sku="s")
    clock.advance(hours=1)
    changed = stock.items.update(item.id, {"quantity": 7}, owner=stock.ada, version=1)
    assert changed == item._replace(quantity=7, version=2, updated_at=clock.current)
    assert stock.items.get(item.id, owner=stock.ada) == changed


def test_a_replacement_leaves_nothing_of_the_old_fields(stock: ItemStore) -> None:
    """What the new draft does not say is back at its default."""
    item = stock.create(tags=("a",), sku="s", quantity=3)
    replaced = stock.items.replace(item.id, draft(name="B"), owner=stock.ada, version=1)
    assert (replaced.name, replaced.sku, replaced.tags, replaced.quantity) == ("B", None, [], 0)


def test_a_change_is_refused_when_it_makes_no_item(stock: ItemStore) -> None:
    """A price is judged with the currency it will have, and nothing is stored."""
    item = stock.create(price="12.50", currency="EUR")
    with pytest.raises(ValidationFailed):
        stock.items.update(item.id, {"currency": "JPY"}, owner=stock.ada, version=1)
    assert stock.items.get(item.id, owner=stock.ada) == item


def test_a_deleted_item_is_gone(stock: ItemStore) -> None:
    """From look-up, list and search."""
    item = stock.create(name="Lamp")
    stock.items.delete(item.id, owner=stock.ada, version=1)
    with pytest.raises(NotFound):
        stock.items.get(item.id, owner=stock.ada)
    assert stock.names() == stock.names(q="lamp") == []


def test_a_stale_change_is_refused(stock: ItemStore, change: Change) -> None:
    """S-153: who did not see the latest version changes nothing."""
    item = stock.create()
    latest = stock.items.update(item.id, {"quantity": 1}, owner=stock.ada, version=1)
    with pytest.raises(PreconditionFailed):
        change(stock, item, stock.ada, 1)
    assert stock.items.get(item.id, owner=stock.ada) == latest


def test_a_change_of_whichever_version_goes_through(stock: ItemStore, change: Change) -> None:
    """`If-Match: *` (RFC 9110 section 13.1.1)."""
    item = stock.create()
    stock.items.update(item.id, {"quantity": 1}, owner=stock.ada, version=1)
    change(stock, item, stock.ada, None)
    assert stock.names(q="Lamp") == []


@pytest.mark.parametrize("version", [1, 2, None])
def test_a_strangers_item_is_not_there_to_be_changed(
    stock: ItemStore, change: Change, version: int | None
) -> None:
    """S-081: not found comes before any word about versions."""
    item = stock.create()
    with pytest.raises(NotFound):
        change(stock, item, stock.create_owner(), version)
    assert stock.items.get(item.id, owner=stock.ada) == item


def test_a_strangers_item_is_not_there_to_be_read(stock: ItemStore) -> None:
    """S-081: as if it did not exist."""
    item = stock.create()
    with pytest.raises(NotFound):
        stock.items.get(item.id, owner=stock.create_owner())


def test_everybodys_items_are_reached_without_an_owner(stock: ItemStore, change: Change) -> None:
    """An operator changes an item, which stays its owner's."""
    item = stock.create(owner=stock.create_owner())
    assert stock.items.get(item.id, owner=None) == item
    change(stock, item, None, 1)
    assert stock.names(owner=None, q="Lamp") == []


@pytest.mark.parametrize("item_id", ["", "x", NOBODYS, "a\0b", "\ud800", "%", "x" * 10_000])
def test_no_id_gives_more_than_not_found(stock: ItemStore, change: Change, item_id: str) -> None:
    """S-014: ids come from addresses, so they may be anything."""
    with pytest.raises(NotFound):
        change(stock, stock.create()._replace(id=item_id), stock.ada, 1)
    with pytest.raises(NotFound):
        stock.items.get(item_id, owner=stock.ada)


def test_a_sku_is_one_items_alone(stock: ItemStore) -> None:
    """Among the items of one owner; the second gets a refusal and is not stored."""
    stock.create(sku="L-1")
    with pytest.raises(Conflict):
        stock.create(sku="L-1")
    assert len(stock.names()) == 1


def test_a_sku_is_one_items_alone_when_it_is_changed(stock: ItemStore) -> None:
    """A change runs into the same rule."""
    stock.create(sku="L-1")
    other = stock.create(sku="L-2")
    with pytest.raises(Conflict):
        stock.items.update(other.id, {"sku": "L-1"}, owner=stock.ada, version=1)


def test_owners_do_not_share_their_skus(stock: ItemStore) -> None:
    """S-145: nobody learns what others have by running into it."""
    stock.create(sku="L-1")
    stock.create(sku="L-1", owner=stock.create_owner())
    stock.create(), stock.create()
    assert len(stock.names(owner=None)) == 4


def test_an_item_is_refused_when_its_owner_is_gone(stock: ItemStore) -> None:
    """A token may outlive an account by a second."""
    with pytest.raises(Conflict, match="owner no longer exists"):
        stock.create(owner=new_id())


def test_a_constraint_that_no_caller_can_break_is_a_fault(stock: ItemStore) -> None:
    """What slipped past our own checks is not blamed on the caller, and not stored."""
    said = draft()
    object.__setattr__(said, "quantity", -1)
    with pytest.raises(IntegrityError):
        stock.items.create(said, owner=stock.ada)
    assert stock.names() == []
