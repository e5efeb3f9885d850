"""Once: a client that got no answer asks again, and what it asked for is done once.

The key that a client gives its request is claimed in the transaction of the change, so both stand
or fall together, whatever dies in between. Of several at once one claims it; the others wait for
its commit and find what it made.
Source: draft-ietf-httpapi-idempotency-key-header-07. It answers 409 to who asks while the first is
still at work; here they get its outcome a moment later instead.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Index, String, bindparam, delete, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db import Model, UtcDateTime
from itemsapi.problems import KeyReused

KEY_LIFETIME = timedelta(days=1)  # how long a key is kept
MAX_DELETED_KEYS = 500  # keys that a request may have to forget


class IdempotencyKey(Model):
    """A key that was used: `said` is the digest of the request, `made` the id of its outcome.

    `owner_id` is the user whose key it is; null for those from before they were counted.
    """

    __tablename__ = "claim"
    __table_args__ = (Index("ix_claim_owner_id_claimed_at", "owner_id", "claimed_at"),)

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(index=True)
    owner_id: Mapped[str | None] = mapped_column(String(36))


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that may come again: who does what, under which key, and all that it says."""

    user_id: str
    operation: str
    key: str
    content: str


_table = IdempotencyKey.core()
_CLAIM = text(
    "INSERT INTO claim (key, said, made, claimed_at, owner_id)"
    " VALUES (:key, :said, :made, :now, :owner)"
    " ON CONFLICT (key) DO NOTHING RETURNING key"
).bindparams(bindparam("now", type_=UtcDateTime))
_CLAIMED = select(_table.c.said, _table.c.made).where(_table.c.key == bindparam("key"))


def claim_key(tx: Session, request: IdempotentRequest, made: str, now: datetime) -> str:
    """Claim the key of a request for the id `made`; return it, or the id made at first.

    Raises `KeyReused` if another request carried this key. Keys and requests are kept as digests.
    """
    key, said = _digest(request.user_id, request.operation, request.key), _digest(request.content)
    values = {"key": key, "said": said, "made": made, "now": now, "owner": request.user_id}
    if tx.execute(_CLAIM, values).first() is not None:
        return made
    before = tx.execute(_CLAIMED, {"key": key}).one()
    if before.said != said:
        raise KeyReused
    return str(before.made)


def delete_expired_keys(tx: Session, who: str, before: datetime) -> int:
    """Forget some keys that a user claimed before a moment, the oldest; return how many.

    Those that somebody else is about to forget are theirs: nobody waits, so nobody waits in a
    circle.
    """
    old = select(_table.c.key).where(_table.c.owner_id == who, _table.c.claimed_at < before)
    oldest = old.order_by(_table.c.claimed_at).limit(MAX_DELETED_KEYS).with_for_update(skip_locked=True)
    if keys := tx.scalars(oldest).all():
        tx.execute(delete(_table).where(_table.c.key.in_(keys)))
    return len(keys)


def count_by_user(tx: Session, keys: Sequence[str]) -> dict[str, int]:
    """Return how many of these keys each user has; `keys` are as they are stored."""
    owner = _table.c.owner_id
    found = select(owner, func.count()).where(_table.c.key.in_(keys), owner.is_not(None))
    return {row[0]: row[1] for row in tx.execute(found.group_by(owner))}


def _digest(*words: str) -> str:
    """Return a digest that no other sequence of words has."""
    parts = [hashlib.sha256(word.encode()).digest() for word in words]
    return hashlib.sha256(b"".join(parts)).hexdigest()
