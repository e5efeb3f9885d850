"""Listing: the SQL statements that read lists of items, one for each shape of a query.

A shape is the set of filters and the sort order. The values are bind parameters, so a statement is
built once for each shape and cached, and the database sees a small set of statement texts. A list
of one owner uses an index of owner, sort field and id; a list of all, one of sort field and id.

The size of a page in bytes is bounded, and so is what is read for it (S-111). SQLite returns row
by row. PostgreSQL's driver reads the whole result, so for a large page the statement itself sums
up the lengths.
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

from itemsapi.db import Database, Lookup, Rows
from itemsapi.items import search_index
from itemsapi.items.models import (
    COLUMNS,
    MAX_NAME_LENGTH,
    MAX_SKU_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    Item,
    ItemRecord,
    to_records,
)
from itemsapi.items.query import (
    CursorPosition,
    ItemListQuery,
    SortValue,
    decode_cursor,
    encode_cursor,
    fingerprint,
)
from itemsapi.paging import (
    MAX_BYTES_PER_CHARACTER,
    MAX_PAGE_BYTES,
    PAGE_OVERHEAD_BYTES,
    Page,
    cut_page,
)

# Rows that are read whatever their size: 2 MiB with the longest descriptions.
FETCH_BATCH_ROWS: Final = 50
_FIELD_NAMES_BYTES: Final = len(orjson.dumps(dict.fromkeys(ItemRecord._fields))) + 2
# JSON of an item without its description.
_MAX_OTHER_FIELDS_BYTES: Final = 1024 + MAX_BYTES_PER_CHARACTER * (
    MAX_NAME_LENGTH + MAX_SKU_LENGTH + MAX_TAGS * MAX_TAG_LENGTH
)
_INDEXES: Final = {name: index for index, name in enumerate(ItemRecord._fields)}  # in `COLUMNS`
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
_CONDITIONS_BY_NUMBER: dict[str, ColumnElement[bool]] = {
    "numbers": _ITEM.number.in_(bindparam("numbers", expanding=True, type_=Integer)),
    # `concat` keeps SQLite from using the index of owners: it looks up the few numbers instead of
    # all items of the owner.
    "owner": _ITEM.owner_id.concat("") == bindparam("owner"),
}
_SORT_TYPES: Final[dict[str, type[SortValue]]] = {"name": str, "price": int, "quantity": int}


class ListingQuery:
    """A query of one reader: its statement, and the page made from its rows."""

    def __init__(self, query: ItemListQuery, owner: str | None, dialect: str) -> None:
        """Collect the parameters. Raise `ValidationFailed` for a cursor of another list."""
        self._query = query
        self._owner = query.owner_id if owner is None else owner
        self._params = query.column_filters()
        if self._owner is not None:
            self._params["owner"] = self._owner
        terms = query.terms or []
        is_foreign = owner is not None and query.owner_id not in {None, owner}
        self.is_empty = is_foreign or query.terms == []
        # For a range of prices the price index is faster than the text index.
        currency = None if {"price_min", "price_max"} & self._params.keys() else query.currency
        if terms or query.tags or currency:
            words = search_index.filter_words(query.tags, currency, self._owner)
            self._params["match"] = search_index.match_expression(dialect, terms, words)
        self._fingerprint = fingerprint(query.sort, sorted(self._params.items()))
        if query.cursor is not None:
            sort_type = _SORT_TYPES.get(query.sort_field, datetime)
            position = decode_cursor(self._fingerprint, query.cursor, sort_type)
            self._params |= {"after": position.value, "after_id": position.id}

    def fetch_rows(self, database: Database) -> Rows:
        """Read the rows of a page, and one more if more follow.

        If the text index finds few items, they are fetched by number and sorted. If it finds many,
        the statement reads in sort order, and the page is soon full.
        """
        if "match" not in self._params and self._query.limit <= FETCH_BATCH_ROWS:
            return database.fetch(*self._lookup(database.dialect, self._params))
        with database.reading() as connection:
            lookup, params = self._lookup(database.dialect, self._narrowed(connection))
            result = connection.execute(lookup.statement, params)
            return _fetch_until_full(result)

    def _lookup(self, dialect: str, params: dict[str, Any]) -> tuple[Lookup, dict[str, Any]]:
        """Return the look-up with its parameters; it reads one row more than the page has."""
        params = params | {"row_limit": self._query.limit + 1}
        many = self._query.limit > FETCH_BATCH_ROWS
        return list_lookup(dialect, self._query.sort, frozenset(params), many), params

    def _narrowed(self, connection: Connection) -> dict[str, Any]:
        """Return the parameters, with the numbers of the matches if they are few."""
        params = dict(self._params)
        if "match" in params:
            numbers = search_index.find_few_matches(connection, params["match"])
            if numbers is not None:
                del params["match"]
                params["numbers"] = numbers
        return params

    def build_page(self, rows: Rows) -> Page[ItemRecord]:
        """Return the page made from these rows: up to the limit, and up to the size of a page."""
        items = to_records(rows[: self._query.limit])
        sizes = None if _surely_fit(items) else map(_json_size, items)
        page = cut_page(rows, self._query.limit, cursor_after=self._cursor_after, row_sizes=sizes)
        return Page(items[: len(page.items)], page.next_cursor)

    def _cursor_after(self, row: Sequence[Any]) -> str:
        position = CursorPosition(row[_INDEXES[self._query.sort_field]], row[_INDEXES["id"]])
        return encode_cursor(self._fingerprint, position)


@lru_cache(maxsize=1024)
def list_lookup(dialect: str, sort: str, params: frozenset[str], many: bool) -> Lookup:  # noqa: FBT001 - a part of the key
    """Return the look-up by `list_statement`."""
    return Lookup(list_statement(dialect, sort, params, many))


def list_statement(dialect: str, sort: str, params: frozenset[str], many: bool) -> Select[Any]:  # noqa: FBT001 - as above
    """Return the statement for a list in this order with the parameters of these names.

    `after` and `after_id` start the page behind an item; `row_limit` is the number of rows;
    `match` and `numbers` restrict it to the matches of the text index; the others are those of
    `ItemListQuery`. With `many` rows, PostgreSQL omits the rows that follow a full page.
    """
    column = _ITEM[sort.removeprefix("-")]
    available = _CONDITIONS | _CONDITIONS_BY_NUMBER if "numbers" in params else _CONDITIONS
    conditions: list[ColumnElement[bool] | TextClause] = [
        available[name] for name in sorted(params & available.keys())
    ]
    if "match" in params:
        conditions.append(search_index.match_condition(dialect))
    if "after" in params:
        conditions.append(_after_cursor(column, descending=sort.startswith("-")))
    statement = select(*COLUMNS).where(*conditions).order_by(*_order(Item.core(), sort))
    statement = statement.limit(bindparam("row_limit", type_=Integer))
    return _limit_bytes(statement, sort) if many and dialect == "postgresql" else statement


def _limit_bytes(statement: Select[Any], sort: str) -> Select[Any]:
    """Omit the rows that follow a full page; PostgreSQL knows the lengths without sending them."""
    rows = statement.subquery("rows")
    preceding_bytes = func.sum(func.octet_length(rows.c.description)).over(
        order_by=_order(rows, sort), rows=(None, -1)
    )
    labelled = func.coalesce(preceding_bytes, 0).label("bytes_before")
    summed = select(*rows.c, labelled).subquery("summed")
    columns = [summed.c[column.name] for column in COLUMNS]
    fits = summed.c.bytes_before <= MAX_PAGE_BYTES
    return select(*columns).where(fits).order_by(*_order(summed, sort))


def _order(rows: FromClause, sort: str) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    column = rows.c[sort.removeprefix("-")]
    return (column.desc(), rows.c.id.desc()) if sort.startswith("-") else (column, rows.c.id)


def _fetch_until_full(result: Result[Any]) -> list[Row[Any]]:
    """Read rows until their descriptions fill a page."""
    rows: list[Row[Any]] = []
    remaining_bytes = MAX_PAGE_BYTES
    while remaining_bytes >= 0 and (batch := result.fetchmany(FETCH_BATCH_ROWS)):
        rows += batch
        remaining_bytes -= sum([len(row[_INDEXES["description"]].encode()) for row in batch])
    result.close()
    return rows


def _surely_fit(items: list[ItemRecord]) -> bool:
    """Return whether a page of these items fits by a cheap upper bound, as nearly all pages do."""
    length = sum([len(item.description) for item in items])
    return (
        length * MAX_BYTES_PER_CHARACTER + len(items) * _MAX_OTHER_FIELDS_BYTES
        <= MAX_PAGE_BYTES - PAGE_OVERHEAD_BYTES
    )


def _json_size(item: ItemRecord) -> int:
    """Return how many bytes of JSON an item takes, slightly rounded up."""
    return len(orjson.dumps([*item])) + _FIELD_NAMES_BYTES


def _after_cursor(column: ColumnElement[Any], *, descending: bool) -> ColumnElement[bool]:
    """Return the condition that a row follows the cursor.

    It compares sort field and id as one row value, by which the index is searched.
    """
    row_value = tuple_(column, _ITEM.id)
    cursor = tuple_(bindparam("after", type_=column.type), bindparam("after_id", type_=String()))
    return row_value < cursor if descending else row_value > cursor
