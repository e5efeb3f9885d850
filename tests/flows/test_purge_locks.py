"""A purge never waits: it skips rows that another transaction has locked (S-201).

Each test runs one transaction inside another, on PostgreSQL: one that waited for a lock of the
other would fail after 2 s.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from itemsapi.attempt_limits import PendingAttempt
from itemsapi.clock import new_id
from itemsapi.issuer.retention import PurgeTarget
from itemsapi.items.quota import Quota, recount_usage
from itemsapi.items.service import ItemService
from support.app_factory import Backend
from support.item_store import ItemStore, draft
from support.purging import find_target, purge_without_pauses

pytestmark = [  # in SQLite only one transaction writes at a time
    pytest.mark.postgres,
    pytest.mark.dialect("postgresql"),
]


@pytest.fixture
def stock(backend: Backend) -> ItemStore:
    """Three items that were created with idempotency keys, which have expired."""
    stock = ItemStore(backend.services.database, backend.clock)
    for key in "abc":
        stock.create(key=key)
    backend.clock.advance(days=1, seconds=1)
    return stock


def during_first_batch(target: PurgeTarget, work: Callable[[], object]) -> PurgeTarget:
    """Return the target; `work` runs in its first transaction, while its rows are locked."""
    pending = [work]

    def before_delete(*arguments: object) -> None:
        if pending:
            pending.pop()()
        target.before_delete(*arguments)  # type: ignore[arg-type]

    return replace(target, before_delete=before_delete)


def test_a_second_purge_deletes_nothing_while_the_first_has_the_rows_locked(
    backend: Backend, stock: ItemStore
) -> None:
    """Neither waits, and the quota usage is right."""
    second: list[int] = []
    keys = find_target(backend, "idempotency keys")
    assert (
        purge_without_pauses(
            backend,
            during_first_batch(keys, lambda: second.append(purge_without_pauses(backend, keys))),
        )
        == 3
    )
    assert (second, recount_usage(stock.database)) == ([0], 0)


def test_a_request_at_its_quota_does_not_wait_for_a_purge(
    backend: Backend, stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It deletes other keys than the purge, and each is counted once."""
    monkeypatch.setattr("itemsapi.issuer.retention.DELETE_BATCH_ROWS", 1)
    items = ItemService(stock.database, stock.clock, Quota(100, 1000, 3))
    work = during_first_batch(
        find_target(backend, "idempotency keys"),
        lambda: items.create(draft(), owner=stock.ada, key="d"),
    )
    assert purge_without_pauses(backend, work) == 1
    assert recount_usage(stock.database) == 0


@pytest.mark.parametrize("name", ["attempts", "pending attempts"])
def test_a_locked_row_is_kept_until_the_next_purge(backend: Backend, name: str) -> None:
    """Also if it is one of several rows of an attempt."""
    target, long_ago = find_target(backend, name), backend.clock() - timedelta(days=2)
    values: dict[str, object]
    values = (
        {"started_at": long_ago, "failures": 1} if name == "attempts" else {"expires_at": long_ago}
    )
    values |= {"id": new_id()} if target.table is PendingAttempt.core() else {}
    with backend.services.database.transaction() as tx:
        tx.execute(insert(target.table), [values | {"key": key} for key in "abc"])
    locked = select(target.table).where(target.table.c.key == "b").with_for_update()
    with backend.services.database.transaction() as tx:
        tx.execute(locked)
        assert purge_without_pauses(backend, target) == 2
    assert purge_without_pauses(backend, target) == 1
