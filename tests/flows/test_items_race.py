"""Races: of callers who change one thing at once, one wins and nothing is lost (S-153, S-196)."""

from collections.abc import Callable
from functools import partial

import pytest

from itemsapi.db import Database
from itemsapi.problems import Conflict, NotFound, PreconditionFailed, Problem
from support.app_factory import MovingClock
from support.item_store import ItemStore
from support.race import race

CALLERS = 8


@pytest.fixture
def stock(database: Database, clock: MovingClock) -> ItemStore:
    """An empty shelf."""
    return ItemStore(database, clock)


def errors_of(act: Callable[[int], object]) -> list[type[Problem] | None]:
    """Call `act` for all callers at once; return the type of each one's problem, None without."""
    outcomes = race(*(partial(act, n) for n in range(CALLERS)), catch=Problem)
    return [type(one) if isinstance(one, Problem) else None for one in outcomes]


def test_one_of_many_changes_of_one_version_wins(stock: ItemStore) -> None:
    """The others are told that they did not see the latest."""
    item = stock.create(name="Lamp")
    refused = errors_of(
        lambda n: stock.items.update(item.id, {"name": f"N{n}"}, owner=stock.ada, version=1)
    )
    winner = refused.index(None)
    assert refused == [None if n == winner else PreconditionFailed for n in range(CALLERS)]
    assert stock.names(q=f"N{winner}") == stock.names() == [f"N{winner}"]


def test_no_change_is_lost_when_all_take_whichever_version(stock: ItemStore) -> None:
    """Each changes what the one before it left, and the index follows."""
    item = stock.create(name="Lamp")
    errors_of(
        lambda n: stock.items.update(item.id, {"name": f"N{n}"}, owner=stock.ada, version=None)
    )
    latest = stock.items.get(item.id, owner=stock.ada)
    assert latest.version == 1 + CALLERS
    assert [stock.names(q=f"N{n}") for n in range(CALLERS)].count([latest.name]) == 1


def test_many_requests_with_one_key_make_one_item(stock: ItemStore) -> None:
    """S-154: all are handed the same one, and none is refused."""
    made: list[str] = []
    refused = errors_of(lambda _: made.append(stock.create(key="k-1").id))
    assert refused == [None] * CALLERS
    assert (len(set(made)), stock.names()) == (1, ["Lamp"])


def test_one_of_many_deletions_wins(stock: ItemStore) -> None:
    """The others find nothing any more."""
    item = stock.create()
    refused = errors_of(lambda _: stock.items.delete(item.id, owner=stock.ada, version=1))
    assert sorted(refused, key=str) == [NotFound] * (CALLERS - 1) + [None]


def test_one_of_many_new_items_with_one_sku_wins(stock: ItemStore) -> None:
    """S-196: the database decides, so no check comes too early."""
    refused = errors_of(lambda n: stock.create(name=f"N{n}", sku="L-1"))
    assert refused.count(None) == 1
    assert refused.count(Conflict) == CALLERS - 1
