"""Recount: corrects the quota usage of users where it differs from the stored rows.

The usage becomes wrong if a version that does not count writes beside one that does, or if rows
are written by hand. One statement reads the rows of a user and the usage without a lock. Changes
made meanwhile do not affect the difference, since they change both by the same amount. So the
difference is added to the usage; the usage is not overwritten.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, text

from itemsapi.db import Database
from itemsapi.items.quota import TEXT_COLUMNS

ROWS_PER_RANGE = 5000  # rows of a table in one range of users, plus the rest of the last user's
USERS_PER_TRANSACTION = 200  # users corrected in one transaction

_TABLES: Final = ("itemsapi_quota_usage", "item", "itemsapi_idempotency_key")
_LENGTH: Final = {"postgresql": "octet_length({})", "sqlite": "length(CAST({} AS BLOB))"}
_SELECT_DIFFERENCES: Final = (
    "WITH kept AS (SELECT owner_id, count(*) AS items, sum({size}) AS bytes"
    " FROM item WHERE {here} GROUP BY owner_id),"
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


def recount_usage(database: Database, pause: Callable[[float], None] = time.sleep) -> int:
    """Correct the quota usage of all users; return for how many it was wrong.

    After each transaction `pause` is called with the seconds that the transaction took.
    """
    total = 0
    for differences in _differences(database):
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
        if differences:
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
