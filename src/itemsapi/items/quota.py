"""Quotas: how much a user may store (S-118), counted in a table beside the items.

The counts change in the transaction of the items, by one statement that adds to them only within
the limits: of several requests for the last free place one succeeds, on both databases (S-196).
The rows are never counted again for this, and reads do not touch the counts.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from itemsapi.db import Database
from itemsapi.idempotency import KEY_LIFETIME, delete_expired_keys
from itemsapi.items.models import ItemDraft, column_values
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


# Recount: corrects the quota usage of users where it differs from the stored rows.
#
# The usage becomes wrong if a version that does not count writes beside one that does, or if rows
# are written by hand. One statement reads the rows of a user and the usage without a lock. Changes
# made meanwhile do not affect the difference, since they change both by the same amount. So the
# difference is added to the usage; the usage is not overwritten.

ROWS_PER_RANGE = 5000  # rows of a table in one range of users, plus the rest of the last user's
USERS_PER_TRANSACTION = 200  # users corrected in one transaction

_TABLES: Final = ("itemsapi_quota_usage", "itemsapi_item", "itemsapi_idempotency_key")
_LENGTH: Final = {"postgresql": "octet_length({})", "sqlite": "length(CAST({} AS BLOB))"}
_SELECT_DIFFERENCES: Final = (
    "WITH kept AS (SELECT owner_id, count(*) AS items, sum({size}) AS bytes"
    " FROM itemsapi_item WHERE {here} GROUP BY owner_id),"
    " stored AS (SELECT owner_id, count(*) AS keys"
    " FROM itemsapi_idempotency_key WHERE {here} GROUP BY owner_id),"
    " owners AS (SELECT owner_id FROM kept UNION SELECT owner_id FROM stored"
    " UNION SELECT owner_id FROM itemsapi_quota_usage WHERE {here}),"
    " missing AS (SELECT itemsapi_user.id AS owner,"
    " coalesce(kept.items, 0) - coalesce(usage.items, 0) AS items,"
    " coalesce(kept.bytes, 0) - coalesce(usage.bytes, 0) AS bytes,"
    " coalesce(stored.keys, 0) - coalesce(usage.keys, 0) AS keys"
    " FROM owners JOIN itemsapi_user ON itemsapi_user.id = owners.owner_id"
    " LEFT JOIN kept ON kept.owner_id = owners.owner_id"
    " LEFT JOIN stored ON stored.owner_id = owners.owner_id"
    " LEFT JOIN itemsapi_quota_usage AS usage ON usage.owner_id = owners.owner_id)"
    " SELECT * FROM missing WHERE items <> 0 OR bytes <> 0 OR keys <> 0"
)
_ADD_DIFFERENCE: Final = text(
    "INSERT INTO itemsapi_quota_usage AS usage (owner_id, items, bytes, keys)"
    " VALUES (:owner, :items, :bytes, :keys)"
    " ON CONFLICT (owner_id) DO UPDATE SET"
    " items = CASE WHEN usage.items + :items > 0 THEN usage.items + :items ELSE 0 END,"
    " bytes = CASE WHEN usage.bytes + :bytes > 0 THEN usage.bytes + :bytes ELSE 0 END,"
    " keys = CASE WHEN usage.keys + :keys > 0 THEN usage.keys + :keys ELSE 0 END"
)


def count_ranges(database: Database) -> int:
    """Return how many ranges of users `recount_usage` goes through, about: rows may be added."""
    with database.reading() as connection:
        counts = [
            connection.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608 - a constant
            for table in _TABLES
        ]
    return 1 + max(int(count or 0) for count in counts) // ROWS_PER_RANGE


def recount_usage(
    database: Database,
    progress: Callable[[int], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Correct the quota usage of all users; return for how many it was wrong.

    `progress` is called with 1 after each range of users; `pause` with the seconds that a
    transaction took, after it.
    """
    total = 0
    for differences in _differences(database):
        progress(1)
        for start in range(0, len(differences), USERS_PER_TRANSACTION):
            started = time.monotonic()
            with database.transaction() as tx:
                tx.execute(_ADD_DIFFERENCE, differences[start : start + USERS_PER_TRANSACTION])
            pause(time.monotonic() - started)
        total += len(differences)
    return total


def _differences(database: Database) -> Iterator[list[dict[str, Any]]]:
    """Yield the differences of one range of users after the other.

    They are sorted by user: one order for all transactions prevents deadlocks.
    """
    after: str | None = ""
    while after is not None:
        with database.reading() as connection:
            end = _range_end(connection, after)
            condition = "owner_id > :after" + (" AND owner_id <= :end" if end else "")
            statement = text(
                _SELECT_DIFFERENCES.format(size=_text_size_sql(database.dialect), here=condition)
            )
            rows = connection.execute(
                statement, {"after": after, "end": end} if end else {"after": after}
            )
            differences = [dict(row) for row in rows.mappings()]
        yield sorted(differences, key=lambda difference: str(difference["owner"]))
        after = end


def _range_end(connection: Connection, after: str) -> str | None:
    """Return the last user of the range that starts after `after`; None if it reaches the end.

    The range ends where `ROWS_PER_RANGE` rows of one of the tables are reached.
    """
    ends = [
        connection.scalar(
            text(
                f"SELECT owner_id FROM {table} WHERE owner_id > :after"  # noqa: S608 - a constant
                " ORDER BY owner_id LIMIT 1 OFFSET :offset"
            ),
            {"after": after, "offset": ROWS_PER_RANGE - 1},
        )
        for table in _TABLES
    ]
    return min((end for end in ends if end is not None), default=None)


def _text_size_sql(dialect: str) -> str:
    return " + ".join(_LENGTH[dialect].format(f"coalesce({column}, '')") for column in TEXT_COLUMNS)
