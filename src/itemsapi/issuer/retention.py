"""Housekeeping: what can matter no more is deleted, a little at a time.

What may go is looked up without any lock, a stride of a table at a time, and deleted in small
transactions with a rest after each: nobody who writes waits for longer than a batch takes. Rows
that somebody else has locked are left for the next time: a purge waits for nobody, so two purges,
or a purge and a request, never wait for one another.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, false, func, not_, or_, select, tuple_
from sqlalchemy.orm import Session

from itemsapi.accounts.known_clients import KNOWN_CLIENT_LIFETIME, KnownClient
from itemsapi.audit import AuditEvent
from itemsapi.idempotency import IdempotencyKey, count_by_user
from itemsapi.issuer.issuer import Issuer
from itemsapi.quota_usage import subtract_keys
from itemsapi.rate_limits import AttemptCounter, PendingAttempt
from itemsapi.tokens.key_store import SigningKey
from itemsapi.tokens.revocation import EVERYBODY, Revocation
from itemsapi.tokens.sessions import AuthSession

STRIDE = 5000  # rows a look-up goes through: some 5 ms
BATCH = 200  # rows a transaction deletes: see benchmarks/purge.py
# Longer than any token lives or any client tries again; and time for those who ask what happened.
DAY = timedelta(days=1)
KEYS_KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class PurgeTarget:
    """Rows of one table that may go; `told` hears, in their transaction, which are about to."""

    name: str
    table: Table
    key: ColumnElement[Any]
    condition: ColumnElement[bool]
    told: Callable[[Session, Sequence[Any]], None] = lambda _tx, _keys: None


def purge_targets(issuer: Issuer) -> Iterator[PurgeTarget]:
    """Name what may go, by the clock and the settings."""
    now, kept = issuer.clock(), issuer.settings.audit_retention
    yield _sessions(issuer)
    yield _revocations(issuer)
    audit, tries, keys = AuditEvent.core(), AttemptCounter.core(), SigningKey.core()
    clients, claims, held = KnownClient.core(), IdempotencyKey.core(), PendingAttempt.core()
    old = audit.c.at < now - kept if kept else false()
    yield PurgeTarget("audit events", audit, audit.c.id, old)
    yield PurgeTarget("tries", tries, tries.c.key, tries.c.started_at < now - DAY)
    yield PurgeTarget("held tries", held, held.c.id, held.c.expires_at < now - DAY)
    forgotten = clients.c.seen_at < now - KNOWN_CLIENT_LIFETIME
    yield PurgeTarget("known clients", clients, clients.c.key, forgotten)
    yield PurgeTarget("claims", claims, claims.c.key, claims.c.created_at < now - DAY, _count_fewer)
    gone = keys.c.state.in_(["retired", "withdrawn"])
    yield PurgeTarget("keys", keys, keys.c.kid, and_(gone, keys.c.changed_at < now - KEYS_KEPT))


def count(issuer: Issuer, heap: PurgeTarget) -> int:
    """Count the rows of a heap."""
    return sum(len(keys) for keys in _found(issuer, heap))


def purge(
    issuer: Issuer,
    heap: PurgeTarget,
    progress: Callable[[int], None] = lambda _: None,
    rest: Callable[[float], None] = time.sleep,
) -> int:
    """Delete a heap in small batches; return how many rows went.

    `progress` is told the size of each batch; `rest` is called with the seconds to rest after it,
    as many as it took, so that those who write get every other turn.
    """
    total = 0
    for keys in _found(issuer, heap):
        for at in range(0, len(keys), BATCH):
            begun = time.monotonic()
            went = _delete(issuer, heap, keys[at : at + BATCH])
            progress(went)
            total += went
            rest(time.monotonic() - begun)
    return total


def _sessions(issuer: Issuer) -> PurgeTarget:
    table, over = AuthSession.core(), issuer.clock() - DAY
    idle = over - issuer.settings.session_max_idle
    return PurgeTarget(
        "sessions",
        table,
        table.c.id,
        or_(table.c.ended_at < over, table.c.expires_at < over, table.c.rotated_at < idle),
    )


def _revocations(issuer: Issuer) -> PurgeTarget:
    """Revocations that no living token can meet.

    Never those that define the epochs of everybody: sessions that began before may live on for as
    long as some setting once allowed. Nor the last row: its `seq` must not be given out again, and
    each process reads on from it.
    """
    table = Revocation.core()
    every = table.alias()
    last = select(func.max(every.c.seq)).scalar_subquery()
    of_everybody = select(func.max(every.c.seq)).where(every.c.target == EVERYBODY)
    kept = or_(
        table.c.seq == last,
        table.c.seq == of_everybody.scalar_subquery(),
        table.c.seq == of_everybody.where(every.c.sessions).scalar_subquery(),
    )
    old = table.c.made_at < issuer.clock() - DAY
    return PurgeTarget(
        "revocations", table, table.c.seq, and_(old, not_(func.coalesce(kept, false())))
    )


def _found(issuer: Issuer, heap: PurgeTarget) -> Iterator[Sequence[Any]]:
    """Yield the keys of a heap in the order of the table, those of one stride at a time."""
    order = select(heap.key).order_by(heap.key)
    last: Any = None
    while True:
        rest = order if last is None else order.where(heap.key > last)
        with issuer.database.reading() as connection:
            end = connection.scalar(rest.offset(STRIDE - 1).limit(1))
            here = rest if end is None else rest.where(heap.key <= end)
            keys = connection.scalars(here.where(heap.condition)).all()
        if keys:
            yield keys
        if end is None:
            return
        last = end


def _delete(issuer: Issuer, heap: PurgeTarget, keys: Sequence[Any]) -> int:
    """Delete rows by their keys, unless they changed and are needed after all, or are locked."""
    columns = tuple(heap.table.primary_key.columns)
    wanted = select(heap.key, *columns).where(heap.key.in_(keys), heap.condition)
    with issuer.database.transaction() as tx:
        rows = tx.execute(wanted.with_for_update(skip_locked=True)).all()
        if rows:
            heap.told(tx, [row[0] for row in rows])
            these = tuple_(*columns).in_([row[1:] for row in rows])
            tx.execute(delete(heap.table).where(these))
    return len(rows)


def _count_fewer(tx: Session, keys: Sequence[Any]) -> None:
    """Let who used these Idempotency-Keys use others instead."""
    subtract_keys(tx, count_by_user(tx, keys))
