"""The item service: items are created, read, changed and deleted by their owners."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from itemsapi.clock import new_id
from itemsapi.items.models import ItemRecord
from itemsapi.problems import Conflict, NotFound, PreconditionFailed, ValidationFailed
from itemsapi.testing import MovableClock
from support.item_store import ItemStore, draft

Change = Callable[[ItemStore, ItemRecord, str | None, int | None], object]
CHANGES: dict[str, Change] = {
    "change": lambda store, item, owner, version: store.items.update(
        item.id, {"name": "New"}, owner=owner, version=version
    ),
    "replace": lambda store, item, owner, version: store.items.replace(
        item.id, draft(name="New"), owner=owner, version=version
    ),
    "delete": lambda store, item, owner, version: store.items.delete(
        item.id, owner=owner, version=version
    ),
}

NOBODYS = "01a20682-5549-7dd3-88f4-5cb4b9399a52"  # fixed: test ids must not change between runs


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Change:
    """Each operation that changes an item."""
    return CHANGES[request.param]


def test_an_item_is_read_as_it_was_created(store: ItemStore) -> None:
    """Nothing is rounded, truncated or reordered."""
    draft_fields: dict[str, Any] = {
        "name": "灯",
        "description": "d",
        "sku": "s",
        "quantity": 2**31 - 1,
    }
    item = store.create(**draft_fields, price="1.234", currency="BHD", tags=("b", "a"))
    assert store.items.get(item.id, owner=store.ada) == item
    assert item._asdict() | draft_fields == item._asdict() | {"price": "1.234", "tags": ["b", "a"]}


def test_a_new_item_has_the_current_time_and_version_1(
    store: ItemStore, clock: MovableClock
) -> None:
    """The time is exact to the microsecond."""
    clock.advance(microseconds=123_456)
    item = store.create()
    assert (item.created_at, item.updated_at, item.version) == (clock.current, clock.current, 1)


def test_a_change_keeps_the_other_fields(store: ItemStore, clock: MovableClock) -> None:
    """A partial change makes the next version of the same item."""
    item = store.create(tags=("a",), sku="s")
    clock.advance(hours=1)
    changed = store.items.update(item.id, {"quantity": 7}, owner=store.ada, version=1)
    assert changed == item._replace(quantity=7, version=2, updated_at=clock.current)
    assert store.items.get(item.id, owner=store.ada) == changed


def test_a_replacement_resets_missing_fields(store: ItemStore) -> None:
    """Fields that the new draft omits get their defaults."""
    item = store.create(tags=("a",), sku="s", quantity=3)
    replaced = store.items.replace(item.id, draft(name="B"), owner=store.ada, version=1)
    assert (replaced.name, replaced.sku, replaced.tags, replaced.quantity) == ("B", None, [], 0)


def test_a_change_is_rejected_when_the_result_is_invalid(store: ItemStore) -> None:
    """A price is validated with the new currency, and nothing is stored."""
    item = store.create(price="12.50", currency="EUR")
    with pytest.raises(ValidationFailed):
        store.items.update(item.id, {"currency": "JPY"}, owner=store.ada, version=1)
    assert store.items.get(item.id, owner=store.ada) == item


def test_a_deleted_item_is_gone(store: ItemStore) -> None:
    """It is neither read nor listed nor found."""
    item = store.create(name="Lamp")
    store.items.delete(item.id, owner=store.ada, version=1)
    with pytest.raises(NotFound):
        store.items.get(item.id, owner=store.ada)
    assert store.names() == store.names(q="lamp") == []


def test_a_change_is_rejected_when_its_version_is_stale(store: ItemStore, change: Change) -> None:
    """S-153: a client that has not read the latest version changes nothing."""
    item = store.create()
    latest = store.items.update(item.id, {"quantity": 1}, owner=store.ada, version=1)
    with pytest.raises(PreconditionFailed):
        change(store, item, store.ada, 1)
    assert store.items.get(item.id, owner=store.ada) == latest


def test_a_change_is_accepted_for_any_version_without_a_condition(
    store: ItemStore, change: Change
) -> None:
    """`If-Match: *` (RFC 9110 section 13.1.1)."""
    item = store.create()
    store.items.update(item.id, {"quantity": 1}, owner=store.ada, version=1)
    change(store, item, store.ada, None)
    assert store.names(q="Lamp") == []


@pytest.mark.parametrize("version", [1, 2, None])
def test_an_item_of_another_user_is_not_found_for_a_change(
    store: ItemStore, change: Change, version: int | None
) -> None:
    """S-081: `NotFound` precedes any error about versions."""
    item = store.create()
    with pytest.raises(NotFound):
        change(store, item, store.create_owner(), version)
    assert store.items.get(item.id, owner=store.ada) == item


def test_an_item_of_another_user_is_not_found(store: ItemStore) -> None:
    """S-081: as if it did not exist."""
    item = store.create()
    with pytest.raises(NotFound):
        store.items.get(item.id, owner=store.create_owner())


def test_items_of_all_users_are_reached_without_an_owner(store: ItemStore, change: Change) -> None:
    """An operator changes an item, which keeps its owner."""
    item = store.create(owner=store.create_owner())
    assert store.items.get(item.id, owner=None) == item
    change(store, item, None, 1)
    assert store.names(owner=None, q="Lamp") == []


@pytest.mark.parametrize("item_id", ["", "x", NOBODYS, "a\0b", "\ud800", "%", "x" * 10_000])
def test_any_other_id_is_not_found(store: ItemStore, change: Change, item_id: str) -> None:
    """S-014: ids come from URLs, so they may be anything."""
    with pytest.raises(NotFound):
        change(store, store.create()._replace(id=item_id), store.ada, 1)
    with pytest.raises(NotFound):
        store.items.get(item_id, owner=store.ada)


def test_a_sku_is_unique_among_the_items_of_an_owner(store: ItemStore) -> None:
    """The second item is rejected and not stored."""
    store.create(sku="L-1")
    with pytest.raises(Conflict):
        store.create(sku="L-1")
    assert len(store.names()) == 1


def test_a_change_is_rejected_when_the_sku_is_taken(store: ItemStore) -> None:
    """The same rule holds for changes."""
    store.create(sku="L-1")
    other = store.create(sku="L-2")
    with pytest.raises(Conflict):
        store.items.update(other.id, {"sku": "L-1"}, owner=store.ada, version=1)


def test_two_owners_may_use_the_same_sku(store: ItemStore) -> None:
    """S-145: a conflict would reveal what others have."""
    store.create(sku="L-1")
    store.create(sku="L-1", owner=store.create_owner())
    store.create(), store.create()
    assert len(store.names(owner=None)) == 4


def test_an_item_is_rejected_when_its_owner_was_deleted(store: ItemStore) -> None:
    """A token may outlive its user by a second."""
    with pytest.raises(Conflict, match="owner no longer exists"):
        store.create(owner=new_id())


def test_an_error_is_raised_when_another_constraint_is_violated(store: ItemStore) -> None:
    """A violation that validation missed is no problem of the caller, and nothing is stored."""
    draft_fields = draft()
    object.__setattr__(draft_fields, "quantity", -1)
    with pytest.raises(IntegrityError):
        store.items.create(draft_fields, owner=store.ada)
    assert store.names() == []
