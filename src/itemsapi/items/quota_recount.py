"""Recount: holdings that tell of more or less than there is are put right.

They go wrong where a version that does not count writes beside one that does, or rows are written
by hand. What a user holds and what is counted of it are read by one statement, without a lock: the
difference is the same before and after whatever goes on meanwhile, since that changes both alike.
So the difference is what is put right, not the count.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, text

from itemsapi.db import Database
from itemsapi.items.quota import TEXTS

STRIDE = 5000  # rows of a table that a look-up goes through, and those of one user more
BATCH = 200  # users put right in a transaction

_TABLES: Final = ("itemsapi_quota_usage", "item", "itemsapi_idempotency_key")
_LENGTH: Final = {"postgresql": "octet_length({})", "sqlite": "length(CAST({} AS BLOB))"}
_STATEMENT: Final = (
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
_PUT_RIGHT: Final = text(
    "INSERT INTO itemsapi_quota_usage AS usage (owner_id, items, bytes, keys)"
    " VALUES (:owner, :items, :bytes, :keys)"
    " ON CONFLICT (owner_id) DO UPDATE SET"
    " items = CASE WHEN usage.items + :items > 0 THEN usage.items + :items ELSE 0 END,"
    " bytes = CASE WHEN usage.bytes + :bytes > 0 THEN usage.bytes + :bytes ELSE 0 END,"
    " keys = CASE WHEN usage.keys + :keys > 0 THEN usage.keys + :keys ELSE 0 END"
)


def recount(database: Database, rest: Callable[[float], None] = time.sleep) -> int:
    """Put right what is counted of users; return of how many it was wrong.

    `rest` is called with the seconds to rest after each batch, as many as it took.
    """
    total = 0
    for missing in _missing(database):
        for at in range(0, len(missing), BATCH):
            begun = time.monotonic()
            with database.transaction() as tx:
                tx.execute(_PUT_RIGHT, missing[at : at + BATCH])
            rest(time.monotonic() - begun)
        total += len(missing)
    return total


def _missing(database: Database) -> Iterator[list[dict[str, Any]]]:
    """Yield what the holdings of a stride of users lack, in one order: no deadlock."""
    after: str | None = ""
    while after is not None:
        with database.reading() as connection:
            end = _end(connection, after)
            here = "owner_id > :after" + (" AND owner_id <= :end" if end else "")
            statement = text(_STATEMENT.format(size=_size(database.dialect), here=here))
            rows = connection.execute(
                statement, {"after": after, "end": end} if end else {"after": after}
            )
            missing = [dict(row) for row in rows.mappings()]
        if missing:
            yield sorted(missing, key=lambda one: str(one["owner"]))
        after = end


def _end(connection: Connection, after: str) -> str | None:
    """Return the user whose rows end a stride in one of the tables; None if none is as long."""
    ends = [
        connection.scalar(
            text(
                f"SELECT owner_id FROM {table} WHERE owner_id > :after"  # noqa: S608 - ours
                " ORDER BY owner_id LIMIT 1 OFFSET :stride"
            ),
            {"after": after, "stride": STRIDE - 1},
        )
        for table in _TABLES
    ]
    return min((end for end in ends if end is not None), default=None)


def _size(dialect: str) -> str:
    return " + ".join(_LENGTH[dialect].format(f"coalesce({column}, '')") for column in TEXTS)
