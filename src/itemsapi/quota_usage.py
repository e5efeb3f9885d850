"""Quota usage: how much each user stores, updated in the transaction of each change.

`items.quota` has the limits and the correction of wrong counts.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import BigInteger, String, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db import Model

_SUBTRACT: Final = text(
    "UPDATE itemsapi_quota_usage SET"
    " items = CASE WHEN items > :items THEN items - :items ELSE 0 END,"
    " bytes = CASE WHEN bytes > :bytes THEN bytes - :bytes ELSE 0 END,"
    " keys = CASE WHEN keys > :keys THEN keys - :keys ELSE 0 END WHERE owner_id = :owner"
)

_ADD_KEY: Final = text(
    "INSERT INTO itemsapi_quota_usage AS usage (owner_id, items, bytes, keys)"
    " VALUES (:owner, 0, 0, 1)"
    " ON CONFLICT (owner_id) DO UPDATE SET keys = usage.keys + 1"
    " WHERE usage.keys < :max_keys RETURNING owner_id"
)


class QuotaUsage(Model):
    """The usage of a user: items, the bytes of their texts, and idempotency keys."""

    __tablename__ = "itemsapi_quota_usage"

    owner_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    items: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    keys: Mapped[int] = mapped_column(BigInteger)


def add_key(tx: Session, owner: str, *, max_keys: int) -> bool:
    """Add an idempotency key to the usage of a user; return whether the limit allows it."""
    parameters = {"owner": owner, "max_keys": max_keys}
    return tx.execute(_ADD_KEY, parameters).first() is not None


def subtract_usage(
    tx: Session, owner: str, *, size: int = 0, items: int = 0, keys: int = 0
) -> None:
    """Subtract from the usage of a user, down to zero."""
    tx.execute(_SUBTRACT, {"owner": owner, "items": items, "bytes": size, "keys": keys})


def subtract_keys(tx: Session, keys: Mapping[str, int]) -> None:
    """Subtract idempotency keys from the usage of users, by user id."""
    for owner in sorted(keys):  # one lock order, so no deadlock
        subtract_usage(tx, owner, keys=keys[owner])
