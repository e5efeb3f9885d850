"""Idempotency keys: a client that got no response repeats its request, which takes effect once.

A key is stored in the transaction of the change, so both are committed or neither is. Of several
concurrent requests one stores the key; the others wait for its commit and read the resource's id.
Source: draft-ietf-httpapi-idempotency-key-header-07. In the draft the response is 409 while the
first request is in progress; here the others wait for its result.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Index, String, bindparam, delete, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db import Model, UtcDateTime
from itemsapi.problems import KeyReused, QuotaExceeded
from itemsapi.quota_usage import add_key, subtract_usage

KEY_LIFETIME = timedelta(days=1)
MAX_DELETED_KEYS = 500  # that one request deletes


class IdempotencyKey(Model):
    """A used key, the hash of its request, and the id of the resource that the request created.

    The key is stored as a hash. `owner_id` is the user whose key it is.
    """

    __tablename__ = "itemsapi_idempotency_key"
    __table_args__ = (Index(None, "owner_id", "created_at"),)

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime] = mapped_column(index=True)
    owner_id: Mapped[str] = mapped_column(String(128))


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that may be repeated: the user, the operation, the key and the whole content."""

    user_id: str
    operation: str
    key: str
    content: str


_table = IdempotencyKey.core()
_INSERT = text(
    "INSERT INTO itemsapi_idempotency_key (key, request_hash, resource_id, created_at, owner_id)"
    " VALUES (:key, :request_hash, :resource_id, :now, :owner_id)"
    " ON CONFLICT (key) DO NOTHING RETURNING key"
).bindparams(bindparam("now", type_=UtcDateTime))
_SELECT = select(_table.c.request_hash, _table.c.resource_id).where(
    _table.c.key == bindparam("key")
)


def store_key(tx: Session, request: IdempotentRequest, resource_id: str, now: datetime) -> str:
    """Store the key of a request with `resource_id`, or return the id that is stored with it.

    Raise `KeyReused` if the key was stored by a different request.
    """
    key = _digest(request.user_id, request.operation, request.key)
    request_hash = _digest(request.content)
    values = {
        "key": key,
        "request_hash": request_hash,
        "resource_id": resource_id,
        "now": now,
        "owner_id": request.user_id,
    }
    if tx.execute(_INSERT, values).first() is not None:
        return resource_id
    stored = tx.execute(_SELECT, {"key": key}).one()
    if stored.request_hash != request_hash:
        raise KeyReused
    return str(stored.resource_id)


def store_counted_key(
    tx: Session, request: IdempotentRequest, resource_id: str, now: datetime, *, max_keys: int
) -> str:
    """Do what `store_key` does, and count a new key for its user (S-118).

    Raise `QuotaExceeded` if the user has `max_keys` already, even without the expired ones.
    """
    stored_id = store_key(tx, request, resource_id, now)
    if stored_id != resource_id or add_key(tx, request.user_id, max_keys=max_keys):
        return stored_id
    if deleted := delete_expired_keys(tx, request.user_id, now - KEY_LIFETIME):
        subtract_usage(tx, request.user_id, keys=deleted)
        if add_key(tx, request.user_id, max_keys=max_keys):
            return stored_id
    raise QuotaExceeded(f"You may use {max_keys} Idempotency-Keys a day; send no key, or wait.")


def delete_expired_keys(tx: Session, user_id: str, before: datetime) -> int:
    """Delete the oldest keys that a user stored before a time; return their number.

    Keys that another transaction is deleting are skipped, so that there is no deadlock.
    """
    expired = select(_table.c.key).where(_table.c.owner_id == user_id, _table.c.created_at < before)
    oldest = expired.order_by(_table.c.created_at).limit(MAX_DELETED_KEYS)
    if keys := tx.scalars(oldest.with_for_update(skip_locked=True)).all():
        tx.execute(delete(_table).where(_table.c.key.in_(keys)))
    return len(keys)


def count_keys_by_user(tx: Session, keys: Sequence[str]) -> dict[str, int]:
    """Return the number of these keys by user; `keys` are the stored hashes."""
    owner = _table.c.owner_id
    counts = select(owner, func.count()).where(_table.c.key.in_(keys)).group_by(owner)
    return {row[0]: row[1] for row in tx.execute(counts)}


def _digest(*texts: str) -> str:
    """Return a digest that is unique to this sequence of texts."""
    parts = [hashlib.sha256(text.encode()).digest() for text in texts]
    return hashlib.sha256(b"".join(parts)).hexdigest()
