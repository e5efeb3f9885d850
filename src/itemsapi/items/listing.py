"""Listing: the fixed statements that lists are read with, one for each shape of a query.

The values are parameters, so a statement is built once for a shape and remembered, and the
database sees a small set of texts. Each shape runs along an index of owner, sorted field and id.

A page is bounded in bytes, and so is what is read for it (S-111): SQLite hands out row by row;
PostgreSQL's driver takes the whole answer, so where many rows are asked for it sums up the lengths.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Result,
    Row,
    Select,
    String,
    TextClause,
    bindparam,
    func,
    select,
    tuple_,
)

from itemsapi.items import search_index
from itemsapi.items.cursor import (
    CursorPosition,
    Page,
    Value,
    decode_cursor,
    encode_cursor,
    fingerprint,
)
from itemsapi.items.draft import NAME, SKU, TAG, TAGS
from itemsapi.items.models import COLUMNS, Item, ItemRecord, record
from itemsapi.items.query import Query
from itemsapi.page_size import FRAME, MAX_BYTES, PER_CHARACTER, fitting

FEW: Final = 50  # rows that may be read whatever they weigh: 2 MiB with the longest descriptions
_NAMES: Final = len(orjson.dumps(dict.fromkeys(ItemRecord._fields))) + 2
_REST: Final = 1024 + PER_CHARACTER * (NAME + SKU + TAGS * TAG)  # bytes without the description
_DESCRIPTION: Final = ItemRecord._fields.index("description")
_ITEM = Item.core().c
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "owner": _ITEM.owner_id == bindparam("owner"),
    "sku": _ITEM.sku == bindparam("sku"),
    "currency": _ITEM.currency == bindparam("currency"),
    "price_min": _ITEM.price >= bindparam("price_min"),
    "price_max": _ITEM.price <= bindparam("price_max"),
    "created_from": _ITEM.created_at >= bindparam("created_from"),
    "created_to": _ITEM.created_at < bindparam("created_to"),
    "updated_from": _ITEM.updated_at >= bindparam("updated_from"),
    "updated_to": _ITEM.updated_at < bindparam("updated_to"),
}
_OF_FEW: dict[str, ColumnElement[bool]] = {
    "numbers": _ITEM.number.in_(bindparam("numbers", expanding=True, type_=Integer)),
    # an expression, so that SQLite goes by the few numbers and not by the owner's many items
    "owner": _ITEM.owner_id.concat("") == bindparam("owner"),
}
_KINDS: Final[dict[str, type[Value]]] = {"name": str, "price": int, "quantity": int}


class ListingQuery:
    """A query of one reader: its statement, and the page that its rows make."""

    def __init__(self, query: Query, owner: str | None, dialect: str) -> None:
        """Work out the parameters. Raises `Invalid` for a cursor of another list."""
        self._query = query
        self._owner = query.owner_id if owner is None else owner
        self._params = query.bounds()
        if self._owner is not None:
            self._params["owner"] = self._owner
        terms = query.terms or []
        stranger = owner is not None and query.owner_id not in {None, owner}
        self.nothing = stranger or query.terms == []
        # a range of prices has an index that serves better
        currency = None if {"price_min", "price_max"} & self._params.keys() else query.currency
        if terms or query.tags or currency:
            facts = search_index.facts(query.tags, currency, self._owner)
            self._params["match"] = search_index.match(dialect, terms, facts)
        self._list = fingerprint(query.sort, sorted(self._params.items()))
        if query.cursor is not None:
            start = decode_cursor(self._list, query.cursor, _KINDS.get(query.column, datetime))
            self._params |= {"after": start.value, "after_id": start.id}

    def statement(self, connection: Connection) -> tuple[Select[Any], dict[str, Any]]:
        """Return the statement and its parameters; one row more than a page shows if more follow.

        Few matches of the text index are fetched by number and sorted; many are met along the
        sorted field, where the page is soon full.
        """
        given = self._params | {"most": self._query.limit + 1}
        if "match" in given:
            numbers = search_index.few(connection, given["match"])
            if numbers is not None:
                del given["match"]
                given["numbers"] = numbers
        many = self._query.limit > FEW
        return listing(connection.dialect.name, self._query.sort, frozenset(given), many), given

    def rows(self, connection: Connection) -> Sequence[Row[Any]]:
        """Read the rows of a page, and one more if more follow."""
        found = connection.execute(*self.statement(connection))
        return found.all() if self._query.limit <= FEW else _as_many_as_fit(found)

    def page(self, rows: Sequence[Row[Any]]) -> Page:
        """Return the page that these rows make: as many as are asked for, and as fit."""
        items = [record(row) for row in rows[: self._query.limit]]
        if not _light(items):
            del items[fitting(map(_weight, items)) :]
        more = None
        if len(rows) > len(items):
            last = rows[len(items) - 1]
            more = encode_cursor(
                self._list, CursorPosition(getattr(last, self._query.column), last.id)
            )
        return Page(items, more)


@lru_cache(maxsize=1024)
def listing(dialect: str, sort: str, given: frozenset[str], many: bool) -> Select[Any]:  # noqa: FBT001 - a part of the key
    """Return the statement of a list in this order with these parameters.

    `after` and `after_id` begin behind an item; `most` is the number of rows; `match` and
    `numbers` narrow to what the text index found; the others are as in `Query`. With `many` rows
    PostgreSQL leaves out what lies behind a full page.
    """
    column = _ITEM[sort.removeprefix("-")]
    conditions = _CONDITIONS | _OF_FEW if "numbers" in given else _CONDITIONS
    wanted: list[ColumnElement[bool] | TextClause] = [
        conditions[name] for name in sorted(given & conditions.keys())
    ]
    if "match" in given:
        wanted.append(search_index.matching(dialect))
    if "after" in given:
        wanted.append(_behind(column, descending=sort.startswith("-")))
    found = select(*COLUMNS).where(*wanted).order_by(*_order(Item.core(), sort))
    found = found.limit(bindparam("most", type_=Integer))
    return _cut(found, sort) if many and dialect == "postgresql" else found


def _cut(found: Select[Any], sort: str) -> Select[Any]:
    """Leave out the rows before which a page is full already; their lengths are known unread."""
    rows = found.subquery("rows")
    bytes_before = func.sum(func.octet_length(rows.c.description)).over(
        order_by=_order(rows, sort), rows=(None, -1)
    )
    before = func.coalesce(bytes_before, 0).label("bytes_before")
    summed = select(*rows.c, before).subquery("summed")
    shown = [summed.c[column.name] for column in COLUMNS]
    fits = summed.c.bytes_before <= MAX_BYTES
    return select(*shown).where(fits).order_by(*_order(summed, sort))


def _order(rows: FromClause, sort: str) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    column = rows.c[sort.removeprefix("-")]
    return (column.desc(), rows.c.id.desc()) if sort.startswith("-") else (column, rows.c.id)


def _as_many_as_fit(found: Result[Any]) -> list[Row[Any]]:
    """Read rows until a page is full."""
    rows: list[Row[Any]] = []
    left = MAX_BYTES
    while left >= 0 and (some := found.fetchmany(FEW)):
        rows += some
        left -= sum([len(row[_DESCRIPTION].encode()) for row in some])
    found.close()
    return rows


def _light(items: list[ItemRecord]) -> bool:
    """Tell at a glance whether a page of these fits for sure, as nearly all do."""
    long = sum([len(item.description) for item in items])
    return long * PER_CHARACTER + len(items) * _REST <= MAX_BYTES - FRAME


def _weight(item: ItemRecord) -> int:
    """Return how many bytes of JSON an item makes, rounded up a little."""
    return len(orjson.dumps([*item])) + _NAMES


def _behind(column: ColumnElement[Any], *, descending: bool) -> ColumnElement[bool]:
    """Compare the pair as a whole: the row value is what the index is searched by."""
    here = tuple_(column, _ITEM.id)
    there = tuple_(bindparam("after", type_=column.type), bindparam("after_id", type_=String()))
    return here < there if descending else here > there
