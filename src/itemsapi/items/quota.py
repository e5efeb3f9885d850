"""Quotas: how much a user may store (S-118), counted in a table beside the items.

The counts change in the transaction of the items, by one statement that adds to them only within
the limits: of several requests for the last free place one succeeds, on both databases (S-196).
The rows are never counted again for this, and reads do not touch the counts.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from itemsapi.idempotency import KEY_LIFETIME, delete_expired_keys
from itemsapi.items.draft import ItemDraft
from itemsapi.items.models import column_values
from itemsapi.problems import QuotaExceeded
from itemsapi.quota_usage import QuotaUsage, subtract_usage

TEXT_COLUMNS: Final = ("name", "description", "sku", "tags")
_ADD_USAGE: Final = text(
    "INSERT INTO itemsapi_quota_usage AS usage (owner_id, items, bytes, keys)"
    " VALUES (:owner, :items, :bytes, :keys)"
    " ON CONFLICT (owner_id) DO UPDATE SET items = usage.items + :items,"
    " bytes = usage.bytes + :bytes, keys = usage.keys + :keys"
    # A count that does not grow may be over its limit: an operator lowered the limit.
    " WHERE (:items = 0 OR usage.items + :items <= :max_items)"
    " AND (:bytes = 0 OR usage.bytes + :bytes <= :max_bytes)"
    " AND (:keys = 0 OR usage.keys + :keys <= :max_keys) RETURNING owner_id"
)

_table = QuotaUsage.core()


@dataclass(frozen=True, slots=True)
class Quota:
    """How much each user may store, from the settings."""

    max_items: int
    max_bytes: int
    max_keys: int

    def add_usage(  # noqa: PLR0913 - one for each count
        self, tx: Session, owner: str, now: datetime, *, size: int, items: int = 0, keys: int = 0
    ) -> None:
        """Add to the usage of a user, or raise `QuotaExceeded`.

        If the limit of keys is reached, delete the user's expired keys and try again.
        """
        added = {"owner": owner, "items": items, "bytes": size, "keys": keys}
        limits = {
            "max_items": self.max_items,
            "max_bytes": self.max_bytes,
            "max_keys": self.max_keys,
        }
        if not self._is_possible(items, size):
            raise self._quota_error(tx, owner, size=size, items=items)
        if tx.execute(_ADD_USAGE, added | limits).first() is not None:
            return
        if keys and (deleted := delete_expired_keys(tx, owner, now - KEY_LIFETIME)):
            subtract_usage(tx, owner, keys=deleted)
            if tx.execute(_ADD_USAGE, added | limits).first() is not None:
                return
        raise self._quota_error(tx, owner, size=size, items=items)

    def _is_possible(self, items: int, size: int) -> bool:
        """Return whether the limits allow it without any usage: a first INSERT has no condition."""
        return items <= self.max_items and size <= self.max_bytes

    def _quota_error(self, tx: Session, owner: str, *, size: int, items: int) -> QuotaExceeded:
        row = tx.execute(select(_table).where(_table.c.owner_id == owner)).first()
        if items and row is not None and row.items + items > self.max_items:
            return QuotaExceeded(f"You may store {self.max_items} items; delete some first.")
        if size > 0 and (row.bytes if row is not None else 0) + size > self.max_bytes:
            return QuotaExceeded(
                f"Your items may contain {self.max_bytes} bytes of text;"
                " delete or shorten some first."
            )
        message = f"You may use {self.max_keys} Idempotency-Keys a day; send no key, or wait."
        return QuotaExceeded(message)


def text_size(draft: ItemDraft) -> int:
    """Return how many bytes of text an item contains."""
    values: dict[str, Any] = column_values(draft)
    return sum(len((values[name] or "").encode()) for name in TEXT_COLUMNS)
