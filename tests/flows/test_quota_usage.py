"""Quota usage: what is counted, and how wrong counts are corrected (S-118, R-21)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, select, update

from itemsapi import idempotency
from itemsapi.issuer.retention import purge, purge_targets
from itemsapi.items import quota
from itemsapi.items.models import Item
from itemsapi.items.quota import Quota, recount_usage
from itemsapi.items.service import ItemService
from itemsapi.problems import QuotaExceeded
from itemsapi.quota_usage import QuotaUsage
from support.app_factory import Backend
from support.item_store import ItemStore, draft

TABLE = QuotaUsage.core()


@pytest.fixture
def stock(backend: Backend) -> ItemStore:
    """An item of 4 bytes that was created with an idempotency key."""
    stock = ItemStore(backend.services.database, backend.clock)
    stock.create(key="first")
    return stock


def stored_usage(stock: ItemStore, owner: str | None = None) -> tuple[int, int, int]:
    """Return the stored usage of a user, ada by default: items, bytes and keys."""
    columns = [TABLE.c[name] for name in ("items", "bytes", "keys")]
    with stock.database.reading() as connection:
        row = connection.execute(select(*columns).where(TABLE.c.owner_id == (owner or stock.ada)))
        items, size, keys = row.one_or_none() or (0, 0, 0)
    return items, size, keys


def set_usage(stock: ItemStore, **counts: int) -> None:
    """Set ada's stored usage to these counts."""
    with stock.database.transaction() as tx:
        tx.execute(update(TABLE).where(TABLE.c.owner_id == stock.ada).values(counts))


def purge_keys(backend: Backend) -> int:
    """Purge the expired idempotency keys; return their number."""
    targets = purge_targets(backend.services.issuer)
    keys = next(target for target in targets if target.name == "idempotency keys")
    return purge(backend.services.issuer, keys, pause=lambda _: None)


def with_key_quota(stock: ItemStore, keys: int) -> ItemService:
    """Return the item service with a quota of idempotency keys."""
    return ItemService(stock.database, stock.clock, Quota(100, 1000, keys))


@contextmanager
def captured_statements(stock: ItemStore) -> Iterator[list[str]]:
    """Yield the list of statements executed in the block."""
    statements: list[str] = []

    def capture(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(stock.database.engine, "before_cursor_execute", capture)
    yield statements
    event.remove(stock.database.engine, "before_cursor_execute", capture)


def test_a_key_above_the_quota_is_rejected_without_counting_keys(stock: ItemStore) -> None:
    """Only the oldest key is read, by an index."""
    with captured_statements(stock) as statements, pytest.raises(QuotaExceeded):
        with_key_quota(stock, 1).create(draft(), owner=stock.ada, key="another")
    key_queries = [text for text in statements if "FROM itemsapi_idempotency_key" in text]
    assert len(key_queries) == 1
    assert ("count(" in key_queries[0], "LIMIT" in key_queries[0]) == (False, True)


def test_a_request_deletes_a_limited_number_of_expired_keys(
    stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request does not delete all expired keys of a day."""
    monkeypatch.setattr(idempotency, "MAX_DELETED_KEYS", 2)
    for key in "abc":
        stock.create(key=key)
    stock.clock.advance(days=1, seconds=1)  # type: ignore[attr-defined]
    with_key_quota(stock, 4).create(draft(), owner=stock.ada, key="another")
    assert stored_usage(stock)[2] == 4 - 2 + 1


def test_purged_keys_are_subtracted_from_the_usage(backend: Backend, stock: ItemStore) -> None:
    """No later recount would correct it."""
    backend.clock.advance(days=1, seconds=1)
    stock.create(key="young")
    assert (purge_keys(backend), stored_usage(stock)) == (1, (2, 8, 1))


@pytest.mark.parametrize(
    "wrong", [{"items": 9}, {"bytes": 0}, {"keys": 3}, {"items": 0, "keys": 0}]
)
def test_wrong_usage_is_corrected(stock: ItemStore, wrong: dict[str, int]) -> None:
    """Whether too high or too low."""
    set_usage(stock, **wrong)
    assert (recount_usage(stock.database), stored_usage(stock)) == (1, (1, 4, 1))


def test_missing_usage_is_added(stock: ItemStore) -> None:
    """An older version created the first item of a user."""
    with stock.database.transaction() as tx:
        tx.execute(TABLE.delete())
    assert (recount_usage(stock.database), stored_usage(stock)) == (1, (1, 4, 1))


def test_usage_without_items_is_set_to_zero(stock: ItemStore) -> None:
    """An older version deleted the last item of a user."""
    with stock.database.transaction() as tx:
        tx.execute(idempotency.IdempotencyKey.core().delete())
        tx.execute(Item.core().delete())
    assert (recount_usage(stock.database), stored_usage(stock)) == (1, (0, 0, 0))


def test_the_recount_counts_the_bytes_of_all_texts(stock: ItemStore) -> None:
    """As when an item is created, whatever fields it has."""
    stock.create(name="日本語", description="é", sku="L-1", tags=("a", "bc"))
    before = stored_usage(stock)
    set_usage(stock, bytes=0)
    assert (recount_usage(stock.database), stored_usage(stock)) == (1, before)


def test_right_usage_is_kept(stock: ItemStore) -> None:
    """Nothing is corrected."""
    assert recount_usage(stock.database) == 0


def test_users_are_recounted_in_small_ranges(
    stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without items, and with more rows than one range."""
    monkeypatch.setattr(quota, "ROWS_PER_RANGE", 3)
    monkeypatch.setattr(quota, "USERS_PER_TRANSACTION", 2)
    owners = [stock.ada] + [stock.create_owner() for _ in range(12)]
    for owner in owners[::2]:
        for _ in range(5):
            stock.create(owner)
    before = [stored_usage(stock, owner) for owner in owners]
    with stock.database.transaction() as tx:
        tx.execute(update(TABLE).values(items=77, keys=5))
    pauses: list[float] = []
    assert recount_usage(stock.database, pause=pauses.append) == 7
    assert [stored_usage(stock, owner) for owner in owners] == before
    assert len(pauses) >= 4


def test_a_recount_reports_each_range_of_users(
    stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the progress bar of `itemsapi purge`, also where nothing is wrong."""
    monkeypatch.setattr(quota, "ROWS_PER_RANGE", 3)
    for owner in [stock.ada] + [stock.create_owner() for _ in range(6)]:
        stock.create(owner)
    reports: list[int] = []
    recount_usage(stock.database, reports.append)
    assert sum(reports) == quota.count_ranges(stock.database) == 3


def test_an_item_created_during_the_recount_is_counted_once(
    stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding a difference and correcting it."""
    set_usage(stock, items=5)
    find_differences = quota._differences  # noqa: SLF001 - to act between finding and correcting

    def change_meanwhile(*arguments: object) -> Iterator[object]:
        for differences in find_differences(*arguments):  # type: ignore[arg-type]
            stock.create(key="second")
            yield differences

    monkeypatch.setattr(quota, "_differences", change_meanwhile)
    recount_usage(stock.database)
    assert stored_usage(stock) == (2, 8, 2)


def test_usage_is_never_negative(stock: ItemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if another process corrects the same usage meanwhile."""
    set_usage(stock, items=5)
    find_differences = quota._differences  # noqa: SLF001 - as above

    def change_meanwhile(*arguments: object) -> Iterator[object]:
        for differences in find_differences(*arguments):  # type: ignore[arg-type]
            set_usage(stock, items=1)
            yield differences

    monkeypatch.setattr(quota, "_differences", change_meanwhile)
    recount_usage(stock.database)
    assert stored_usage(stock)[0] == 0


def with_quota(stock: ItemStore, *limits: int) -> ItemService:
    """Return the item service with a quota of items, bytes and keys."""
    return ItemService(stock.database, stock.clock, Quota(*limits))


def test_a_first_item_may_use_the_whole_quota(stock: ItemStore) -> None:
    """S-118: the limits are inclusive."""
    eve = stock.create_owner()
    with_quota(stock, 1, 4, 1).create(draft(), owner=eve, key="first")
    assert stored_usage(stock, eve) == (1, 4, 1)


def test_a_further_item_may_use_the_rest_of_the_quota(stock: ItemStore) -> None:
    """S-118: to the last item, byte and key."""
    with_quota(stock, 2, 8, 2).create(draft(), owner=stock.ada, key="second")
    assert stored_usage(stock) == (2, 8, 2)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ((1, 8, 2), "You may store 1 items"),
        ((2, 7, 2), "Your items may contain 7 bytes"),
        ((2, 8, 1), "You may use 1 Idempotency-Keys"),
        ((1, 7, 1), "You may store 1 items"),
        ((2, 7, 1), "Your items may contain 7 bytes"),
    ],
)
def test_the_error_names_the_limit_that_is_reached(
    stock: ItemStore, limits: tuple[int, int, int], reason: str
) -> None:
    """S-118: of several, the one that the user can do most about."""
    with pytest.raises(QuotaExceeded, match=reason):
        with_quota(stock, *limits).create(draft(), owner=stock.ada, key="second")
    assert stored_usage(stock) == (1, 4, 1)


def test_a_first_item_that_is_too_large_is_rejected(stock: ItemStore) -> None:
    """S-118: although there is no usage yet that it could add to."""
    eve = stock.create_owner()
    with pytest.raises(QuotaExceeded, match="Your items may contain 3 bytes"):
        with_quota(stock, 1, 3, 1).create(draft(), owner=eve)
    assert stored_usage(stock, eve) == (0, 0, 0)


def test_a_longer_text_adds_bytes_only(stock: ItemStore) -> None:
    """S-118: neither an item nor a key."""
    item = stock.create()
    stock.items.update(item.id, {"name": "Lamps"}, owner=stock.ada, version=1)
    assert stored_usage(stock) == (2, 9, 1)


def test_a_longer_text_above_the_quota_is_rejected(stock: ItemStore) -> None:
    """S-118: for its bytes, however many items the user has."""
    item = stock.create()
    with pytest.raises(QuotaExceeded, match="Your items may contain 8 bytes"):
        with_quota(stock, 1, 8, 1).update(item.id, {"name": "Lamps"}, owner=stock.ada, version=1)
    assert stored_usage(stock) == (2, 8, 1)


def test_a_deleted_item_is_subtracted_once(stock: ItemStore) -> None:
    """S-118: otherwise users could exceed their quota by deleting."""
    items = [stock.create(name=name) for name in ("a", "b", "c")]
    before = stored_usage(stock)[0]
    stock.items.delete(items[0].id, owner=stock.ada, version=items[0].version)
    assert stored_usage(stock)[0] == before - 1
