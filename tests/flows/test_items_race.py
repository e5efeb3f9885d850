"""Races: of concurrent changes of one thing one succeeds, and none is lost (S-153, S-196)."""

from collections.abc import Callable
from functools import partial

from itemsapi.problems import Conflict, NotFound, PreconditionFailed, Problem
from support.item_store import ItemStore
from support.race import race

CALLERS = 8


def errors_of(act: Callable[[int], object]) -> list[type[Problem] | None]:
    """Call `act` for all callers at once; return the type of each one's problem, None without."""
    outcomes = race(*(partial(act, n) for n in range(CALLERS)), catch=Problem)
    return [type(one) if isinstance(one, Problem) else None for one in outcomes]


def test_one_of_many_changes_succeeds_when_all_name_one_version(store: ItemStore) -> None:
    """The others get `PreconditionFailed`."""
    item = store.create(name="Lamp")
    errors = errors_of(
        lambda n: store.items.update(item.id, {"name": f"N{n}"}, owner=store.ada, version=1)
    )
    winner = errors.index(None)
    assert errors == [None if n == winner else PreconditionFailed for n in range(CALLERS)]
    assert store.names(q=f"N{winner}") == store.names() == [f"N{winner}"]


def test_no_change_is_lost_when_all_accept_any_version(store: ItemStore) -> None:
    """Each changes what the one before it stored, and the index follows."""
    item = store.create(name="Lamp")
    errors_of(
        lambda n: store.items.update(item.id, {"name": f"N{n}"}, owner=store.ada, version=None)
    )
    latest = store.items.get(item.id, owner=store.ada)
    assert latest.version == 1 + CALLERS
    assert [store.names(q=f"N{n}") for n in range(CALLERS)].count([latest.name]) == 1


def test_one_item_is_created_when_many_requests_have_one_key(store: ItemStore) -> None:
    """S-154: all get the same item, and none is rejected."""
    created_ids: list[str] = []
    errors = errors_of(lambda _: created_ids.append(store.create(key="k-1").id))
    assert errors == [None] * CALLERS
    assert (len(set(created_ids)), store.names()) == (1, ["Lamp"])


def test_one_of_many_deletions_succeeds(store: ItemStore) -> None:
    """The others get `NotFound`."""
    item = store.create()
    errors = errors_of(lambda _: store.items.delete(item.id, owner=store.ada, version=1))
    assert sorted(errors, key=str) == [NotFound] * (CALLERS - 1) + [None]


def test_one_of_many_items_is_created_when_all_have_one_sku(store: ItemStore) -> None:
    """S-196: the database decides, so no check comes too early."""
    errors = errors_of(lambda n: store.create(name=f"N{n}", sku="L-1"))
    assert errors.count(None) == 1
    assert errors.count(Conflict) == CALLERS - 1
