"""Retention: delete expired rows, in small batches.

Expired rows are looked up without locks, a range of the table at a time, and deleted in small
transactions with a pause after each: a writing request waits for one batch at most. Rows that
another transaction has locked are skipped until the next purge, so a purge never waits for a
request or for another purge.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, false, func, not_, or_, select, tuple_
from sqlalchemy.orm import Session

from itemsapi.attempt_limits import AttemptCounter, PendingAttempt
from itemsapi.audit import AuditEvent
from itemsapi.idempotency import IdempotencyKey, count_keys_by_user
from itemsapi.issuer.api_keys import expired_api_keys
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.known_clients import KNOWN_CLIENT_LIFETIME, KnownClient
from itemsapi.quota_usage import subtract_keys
from itemsapi.tokens.key_store import SigningKey
from itemsapi.tokens.revocation import ALL_USERS, Revocation
from itemsapi.tokens.sessions import AuthSession

LOOKUP_ROWS = 5000  # rows that one look-up reads: some 5 ms
DELETE_BATCH_ROWS = 200  # rows that one transaction deletes: see benchmarks/purge.py
# Longer than the lifetime of any token and the retries of any client, and long enough to
# investigate an incident.
RETENTION = timedelta(days=1)
KEY_RETENTION = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class PurgeTarget:
    """The expired rows of a table; `before_delete` is called with the keys, in the transaction."""

    name: str
    table: Table
    key: ColumnElement[Any]
    condition: ColumnElement[bool]
    before_delete: Callable[[Session, Sequence[Any]], None] = lambda _tx, _keys: None


def purge_targets(issuer: Issuer) -> Iterator[PurgeTarget]:
    """Yield the targets, by the clock and the settings."""
    now, audit_retention = issuer.clock(), issuer.settings.audit_retention
    yield _sessions(issuer)
    yield _revocations(issuer)
    audit, attempts, signing_keys = AuditEvent.core(), AttemptCounter.core(), SigningKey.core()
    clients, keys, pending = KnownClient.core(), IdempotencyKey.core(), PendingAttempt.core()
    old = audit.c.at < now - audit_retention if audit_retention else false()
    yield PurgeTarget("audit events", audit, audit.c.id, old)
    day_ago = now - RETENTION
    yield PurgeTarget("attempts", attempts, attempts.c.key, attempts.c.started_at < day_ago)
    yield PurgeTarget("pending attempts", pending, pending.c.id, pending.c.expires_at < day_ago)
    unseen = clients.c.seen_at < now - KNOWN_CLIENT_LIFETIME
    yield PurgeTarget("known clients", clients, clients.c.key, unseen)
    yield PurgeTarget(
        "idempotency keys", keys, keys.c.key, keys.c.created_at < day_ago, _subtract_keys
    )
    table, expired = expired_api_keys(now - KEY_RETENTION)
    yield PurgeTarget("API keys", table, table.c.id, expired)
    is_inactive = signing_keys.c.state.in_(["retired", "withdrawn"])
    is_old = signing_keys.c.changed_at < now - KEY_RETENTION
    yield PurgeTarget("signing keys", signing_keys, signing_keys.c.kid, and_(is_inactive, is_old))


def count_rows(issuer: Issuer, target: PurgeTarget) -> int:
    """Return the number of rows of a target."""
    return sum(len(keys) for keys in _find_keys(issuer, target))


def purge(
    issuer: Issuer,
    target: PurgeTarget,
    progress: Callable[[int], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Delete the rows of a target in small batches; return their number.

    `progress` is called with the size of each batch; `pause` with the seconds to pause after it, as
    many as the batch took, so that requests can write half of the time.
    """
    total = 0
    for keys in _find_keys(issuer, target):
        for at in range(0, len(keys), DELETE_BATCH_ROWS):
            started_at = time.monotonic()
            deleted = _delete(issuer, target, keys[at : at + DELETE_BATCH_ROWS])
            progress(deleted)
            total += deleted
            pause(time.monotonic() - started_at)
    return total


def _sessions(issuer: Issuer) -> PurgeTarget:
    table, day_ago = AuthSession.core(), issuer.clock() - RETENTION
    idle_since = day_ago - issuer.settings.session_max_idle
    return PurgeTarget(
        "sessions",
        table,
        table.c.id,
        or_(
            table.c.ended_at < day_ago,
            table.c.expires_at < day_ago,
            table.c.rotated_at < idle_since,
        ),
    )


def _revocations(issuer: Issuer) -> PurgeTarget:
    """Return the revocations that apply to no token that is still valid.

    Keep the rows that define the global epochs: older sessions may live as long as some earlier
    setting allowed. Keep the last row: its `seq` must not be reused, and each process continues
    reading from it.
    """
    table = Revocation.core()
    every = table.alias()
    last = select(func.max(every.c.seq)).scalar_subquery()
    of_all_users = select(func.max(every.c.seq)).where(every.c.target == ALL_USERS)
    kept = or_(
        table.c.seq == last,
        table.c.seq == of_all_users.scalar_subquery(),
        table.c.seq == of_all_users.where(every.c.sessions).scalar_subquery(),
    )
    old = table.c.made_at < issuer.clock() - RETENTION
    return PurgeTarget(
        "revocations", table, table.c.seq, and_(old, not_(func.coalesce(kept, false())))
    )


def _find_keys(issuer: Issuer, target: PurgeTarget) -> Iterator[Sequence[Any]]:
    """Yield the keys of a target in order of key, those of one range at a time."""
    order = select(target.key).order_by(target.key)
    last: Any = None
    while True:
        remaining = order if last is None else order.where(target.key > last)
        with issuer.database.reading() as connection:
            end = connection.scalar(remaining.offset(LOOKUP_ROWS - 1).limit(1))
            in_range = remaining if end is None else remaining.where(target.key <= end)
            keys = connection.scalars(in_range.where(target.condition)).all()
        if keys:
            yield keys
        if end is None:
            return
        last = end


def _delete(issuer: Issuer, target: PurgeTarget, keys: Sequence[Any]) -> int:
    """Delete rows by their keys, except those that changed meanwhile or are locked."""
    columns = tuple(target.table.primary_key.columns)
    expired = select(target.key, *columns).where(target.key.in_(keys), target.condition)
    with issuer.database.transaction() as tx:
        rows = tx.execute(expired.with_for_update(skip_locked=True)).all()
        if rows:
            target.before_delete(tx, [row[0] for row in rows])
            is_locked_row = tuple_(*columns).in_([row[1:] for row in rows])
            tx.execute(delete(target.table).where(is_locked_row))
    return len(rows)


def _subtract_keys(tx: Session, keys: Sequence[Any]) -> None:
    """Subtract these idempotency keys from the quota usage of their users."""
    subtract_keys(tx, count_keys_by_user(tx, keys))
