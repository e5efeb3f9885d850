"""What is counted for quotas, and how it stays and becomes right (S-118, R-21)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, select, update

from itemsapi import idempotency
from itemsapi.issuer.retention import purge, purge_targets
from itemsapi.items import quota_recount as recounting
from itemsapi.items.models import Item
from itemsapi.items.quota import Quota
from itemsapi.items.quota_recount import recount_usage
from itemsapi.items.service import ItemService
from itemsapi.problems import QuotaExceeded
from itemsapi.quota_usage import QuotaUsage
from support.app_factory import Backend
from support.item_store import ItemStore, draft

TABLE = QuotaUsage.core()


@pytest.fixture
def stock(backend: Backend) -> ItemStore:
    """A shelf with an item of 4 bytes on it, made with a key."""
    stock = ItemStore(backend.services.database, backend.clock)
    stock.create(key="first")
    return stock


def counted(stock: ItemStore, owner: str | None = None) -> tuple[int, int, int]:
    """Return the items, bytes and keys that are counted of a user, ada unless said otherwise."""
    columns = [TABLE.c[name] for name in ("items", "bytes", "keys")]
    with stock.database.reading() as connection:
        row = connection.execute(select(*columns).where(TABLE.c.owner_id == (owner or stock.ada)))
        items, size, keys = row.one_or_none() or (0, 0, 0)
    return items, size, keys


def miscount(stock: ItemStore, **counts: int) -> None:
    """Have ada's counts be these."""
    with stock.database.transaction() as tx:
        tx.execute(update(TABLE).where(TABLE.c.owner_id == stock.ada).values(counts))


def purge_claims(backend: Backend) -> int:
    """Purge the old keys; return how many went."""
    claims = next(
        one for one in purge_targets(backend.services.issuer) if one.name == "idempotency keys"
    )
    return purge(backend.services.issuer, claims, pause=lambda _: None)


def limited(stock: ItemStore, keys: int) -> ItemService:
    """Return the shelf with a limit of keys."""
    return ItemService(stock.database, stock.clock, Quota(100, 1000, keys))


@contextmanager
def heard(stock: ItemStore) -> Iterator[list[str]]:
    """Yield the statements that are run meanwhile."""
    found: list[str] = []

    def hear(*call: object) -> None:
        found.append(str(call[2]))

    event.listen(stock.database.engine, "before_cursor_execute", hear)
    yield found
    event.remove(stock.database.engine, "before_cursor_execute", hear)


def test_a_key_too_many_costs_no_counting(stock: ItemStore) -> None:
    """However many there are: the oldest is looked at, which an index finds."""
    with heard(stock) as statements, pytest.raises(QuotaExceeded):
        limited(stock, 1).create(draft(), owner=stock.ada, key="another")
    about = [one for one in statements if "FROM itemsapi_idempotency_key" in one]
    assert len(about) == 1
    assert ("count(" in about[0], "LIMIT" in about[0]) == (False, True)


def test_old_keys_make_room_some_at_a_time(
    stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request has to forget all that a day has left."""
    monkeypatch.setattr(idempotency, "MAX_DELETED_KEYS", 2)
    for key in "abc":
        stock.create(key=key)
    stock.clock.advance(days=1, seconds=1)  # type: ignore[attr-defined]
    limited(stock, 4).create(draft(), owner=stock.ada, key="another")
    assert counted(stock)[2] == 4 - 2 + 1


def test_purged_keys_are_counted_no_more(backend: Backend, stock: ItemStore) -> None:
    """Or they would count for ever: nothing is counted anew later."""
    backend.clock.advance(days=1, seconds=1)
    stock.create(key="young")
    assert (purge_claims(backend), counted(stock)) == (1, (2, 8, 1))


@pytest.mark.parametrize(
    "wrong", [{"items": 9}, {"bytes": 0}, {"keys": 3}, {"items": 0, "keys": 0}]
)
def test_what_is_wrong_is_put_right(stock: ItemStore, wrong: dict[str, int]) -> None:
    """Too much or too little."""
    miscount(stock, **wrong)
    assert (recount_usage(stock.database), counted(stock)) == (1, (1, 4, 1))


def test_what_nobody_counted_is_counted(stock: ItemStore) -> None:
    """An older version made the first item of somebody."""
    with stock.database.transaction() as tx:
        tx.execute(TABLE.delete())
    assert (recount_usage(stock.database), counted(stock)) == (1, (1, 4, 1))


def test_what_is_counted_of_nothing_is_taken_back(stock: ItemStore) -> None:
    """An older version deleted the last item of somebody."""
    with stock.database.transaction() as tx:
        tx.execute(idempotency.IdempotencyKey.core().delete())
        tx.execute(Item.core().delete())
    assert (recount_usage(stock.database), counted(stock)) == (1, (0, 0, 0))


def test_all_texts_are_counted_as_bytes(stock: ItemStore) -> None:
    """As `size_of` counts them when an item is made, whatever is left out."""
    stock.create(name="日本語", description="é", sku="L-1", tags=("a", "bc"))
    before = counted(stock)
    miscount(stock, bytes=0)
    assert (recount_usage(stock.database), counted(stock)) == (1, before)


def test_what_is_right_stays(stock: ItemStore) -> None:
    """And is said to be."""
    assert recount_usage(stock.database) == 0


def test_everybody_is_counted_in_small_strides(
    stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users with and without items; one whose rows are more than a stride is looked at as one."""
    monkeypatch.setattr(recounting, "ROWS_PER_RANGE", 3)
    monkeypatch.setattr(recounting, "USERS_PER_TRANSACTION", 2)
    owners = [stock.ada] + [stock.create_owner() for _ in range(12)]
    for owner in owners[::2]:
        for _ in range(5):
            stock.create(owner)
    before = [counted(stock, owner) for owner in owners]
    with stock.database.transaction() as tx:
        tx.execute(update(TABLE).values(items=77, keys=5))
    rests: list[float] = []
    assert recount_usage(stock.database, rests.append) == 7
    assert [counted(stock, owner) for owner in owners] == before
    assert len(rests) >= 4


def test_what_is_made_while_it_is_counted_is_counted_once(
    stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the change."""
    miscount(stock, items=5)
    found = recounting._differences  # noqa: SLF001 - the moment between finding and putting right

    def meanwhile(*wanted: object) -> Iterator[object]:
        for missing in found(*wanted):  # type: ignore[arg-type]
            stock.create(key="second")
            yield missing

    monkeypatch.setattr(recounting, "_differences", meanwhile)
    recount_usage(stock.database)
    assert counted(stock) == (2, 8, 2)


def test_counts_are_never_less_than_nothing(
    stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where somebody else puts the same right meanwhile."""
    miscount(stock, items=5)
    found = recounting._differences  # noqa: SLF001 - as above

    def meanwhile(*wanted: object) -> Iterator[object]:
        for missing in found(*wanted):  # type: ignore[arg-type]
            miscount(stock, items=1)
            yield missing

    monkeypatch.setattr(recounting, "_differences", meanwhile)
    recount_usage(stock.database)
    assert counted(stock)[0] == 0
