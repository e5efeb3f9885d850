"""A purge waits for nobody: it leaves what somebody else has locked (S-201).

Each test has one transaction in the middle of another, on PostgreSQL: whoever waited for a lock
here would wait for what comes after it, and be given up on after 2 s.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from itemsapi.clock import new_id
from itemsapi.issuer.retention import PurgeTarget, purge, purge_targets
from itemsapi.items.quota import Quota
from itemsapi.items.quota_recount import recount_usage
from itemsapi.items.service import ItemService
from itemsapi.rate_limits import PendingAttempt
from support.app_factory import Backend
from support.item_store import ItemStore, draft

pytestmark = pytest.mark.postgres


@pytest.fixture
def dialect() -> str:
    """SQLite's writers take turns."""
    return "postgresql"


@pytest.fixture
def stock(backend: Backend) -> ItemStore:
    """A shelf with three items on it that were made with keys, which are old by now."""
    stock = ItemStore(backend.services.database, backend.clock)
    for key in "abc":
        stock.create(key=key)
    backend.clock.advance(days=1, seconds=1)
    return stock


def heap(backend: Backend, name: str) -> PurgeTarget:
    """Return one heap as it is now."""
    return next(one for one in purge_targets(backend.services.issuer) if one.name == name)


def purged(backend: Backend, wanted: PurgeTarget) -> int:
    """Purge a heap; return how many rows went."""
    return purge(backend.services.issuer, wanted, pause=lambda _: None)


def amid(wanted: PurgeTarget, work: Callable[[], object]) -> PurgeTarget:
    """Return a heap amid whose first transaction, with its rows locked, something else is done."""
    todo = [work]

    def told(*about: object) -> None:
        if todo:
            todo.pop()()
        wanted.before_delete(*about)  # type: ignore[arg-type]

    return replace(wanted, before_delete=told)


def test_two_purges_do_not_wait_for_one_another(backend: Backend, stock: ItemStore) -> None:
    """The second finds nothing to do, and what is counted is right."""
    second: list[int] = []
    claims = heap(backend, "idempotency keys")
    assert purged(backend, amid(claims, lambda: second.append(purged(backend, claims)))) == 3
    assert (second, recount_usage(stock.database)) == ([0], 0)


def test_a_request_that_needs_room_does_not_wait_for_a_purge(
    backend: Backend, stock: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It forgets other keys than those that the purge is at, and each is counted once."""
    monkeypatch.setattr("itemsapi.issuer.retention.DELETE_BATCH_ROWS", 1)
    shelf = ItemService(stock.database, stock.clock, Quota(100, 1000, 3))
    work = amid(
        heap(backend, "idempotency keys"), lambda: shelf.create(draft(), owner=stock.ada, key="d")
    )
    assert purged(backend, work) == 1
    assert recount_usage(stock.database) == 0


@pytest.mark.parametrize("name", ["attempts", "pending attempts"])
def test_what_somebody_has_locked_stays_until_the_next_time(backend: Backend, name: str) -> None:
    """A row of several of one try, even: whoever has it may want the others next."""
    wanted, long_ago = heap(backend, name), backend.clock() - timedelta(days=2)
    made: dict[str, object]
    made = (
        {"started_at": long_ago, "failures": 1} if name == "attempts" else {"expires_at": long_ago}
    )
    made |= {"id": new_id()} if wanted.table is PendingAttempt.core() else {}
    with backend.services.database.transaction() as tx:
        tx.execute(insert(wanted.table), [made | {"key": key} for key in "abc"])
    locked = select(wanted.table).where(wanted.table.c.key == "b").with_for_update()
    with backend.services.database.transaction() as tx:
        tx.execute(locked)
        assert purged(backend, wanted) == 2
    assert purged(backend, wanted) == 1
