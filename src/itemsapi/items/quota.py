"""Quotas: how much a user may hold (S-118), kept as counts beside the items.

The counts change in the transaction of the items, by one statement that makes room or finds none:
of several at the last free place one gets it, on both databases (S-196). Nothing is ever counted
anew for it, and reading asks nothing of it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from itemsapi.idempotency import KEY_LIFETIME, delete_expired_keys
from itemsapi.items.draft import ItemDraft
from itemsapi.items.models import values
from itemsapi.problems import QuotaExceeded
from itemsapi.quota_usage import QuotaUsage, subtract_usage

TEXTS: Final = ("name", "description", "sku", "tags")
_MAKE_ROOM: Final = text(
    "INSERT INTO itemsapi_quota_usage AS usage (owner_id, items, bytes, keys)"
    " VALUES (:owner, :items, :bytes, :keys)"
    " ON CONFLICT (owner_id) DO UPDATE SET items = usage.items + :items,"
    " bytes = usage.bytes + :bytes, keys = usage.keys + :keys"
    # What does not become more may be too much already: an operator lowered the limit.
    " WHERE (:items = 0 OR usage.items + :items <= :most_items)"
    " AND (:bytes = 0 OR usage.bytes + :bytes <= :most_bytes)"
    " AND (:keys = 0 OR usage.keys + :keys <= :most_keys) RETURNING owner_id"
)

_table = QuotaUsage.core()


@dataclass(frozen=True, slots=True)
class Quota:
    """How much each user may hold, by the settings."""

    items: int
    bytes: int
    keys: int

    def add_usage(  # noqa: PLR0913 - what is to be held
        self, tx: Session, owner: str, now: datetime, *, size: int, items: int = 0, keys: int = 0
    ) -> None:
        """Count so much more as held, or raise `QuotaExceeded`.

        Keys that are old enough to be forgotten are, when there is no room for another one.
        """
        more = {"owner": owner, "items": items, "bytes": size, "keys": keys}
        most = {"most_items": self.items, "most_bytes": self.bytes, "most_keys": self.keys}
        if self._fits(items, size) and tx.execute(_MAKE_ROOM, more | most).first() is not None:
            return
        expired = now - KEY_LIFETIME
        if keys and self._fits(items, size) and (freed := delete_expired_keys(tx, owner, expired)):
            subtract_usage(tx, owner, keys=freed)
            if tx.execute(_MAKE_ROOM, more | most).first() is not None:
                return
        raise self._refusal(tx, owner, size=size, items=items)

    def _fits(self, items: int, size: int) -> bool:
        """Tell whether there would be room if nothing were held: a first row has no condition."""
        return items <= self.items and size <= self.bytes

    def _refusal(self, tx: Session, owner: str, *, size: int, items: int) -> QuotaExceeded:
        row = tx.execute(select(_table).where(_table.c.owner_id == owner)).first()
        if items and row is not None and row.items + items > self.items:
            return QuotaExceeded(f"You may hold {self.items} items; delete some first.")
        if size > 0 and (row.bytes if row is not None else 0) + size > self.bytes:
            words = f"Your items may hold {self.bytes} bytes of text; delete or shorten some first."
            return QuotaExceeded(words)
        words = f"You may use {self.keys} Idempotency-Keys a day; send no key, or wait."
        return QuotaExceeded(words)


def size_of(said: ItemDraft) -> int:
    """Return how many bytes of text an item holds."""
    stored: dict[str, Any] = values(said)
    return sum(len((stored[name] or "").encode()) for name in TEXTS)
