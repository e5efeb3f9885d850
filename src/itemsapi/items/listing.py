"""Listing: the fixed statements that lists are read with, one for each shape of a query.

The values are parameters, so a statement is built once for a shape and remembered, and the
database sees a small set of texts. Each shape runs along an index of owner, sorted field and id.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    String,
    TextClause,
    bindparam,
    select,
    tuple_,
)

from itemsapi.items import index
from itemsapi.items.item import COLUMNS, Item, record
from itemsapi.items.paging import Page, Place, Value, cursor, fingerprint, place
from itemsapi.items.query import Query

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


class Asked:
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
            facts = index.facts(query.tags, currency, self._owner)
            self._params["match"] = index.match(dialect, terms, facts)
        self._list = fingerprint(query.sort, sorted(self._params.items()))
        if query.cursor is not None:
            start = place(self._list, query.cursor, _KINDS.get(query.column, datetime))
            self._params |= {"after": start.value, "after_id": start.id}

    def statement(self, connection: Connection) -> tuple[Select[Any], dict[str, Any]]:
        """Return the statement and its parameters; one row more than a page shows if more follow.

        Few matches of the text index are fetched by number and sorted; many are met along the
        sorted field, where the page is soon full.
        """
        given = self._params | {"most": self._query.limit + 1}
        if "match" in given:
            numbers = index.few(connection, given["match"])
            if numbers is not None:
                del given["match"]
                given["numbers"] = numbers
        return listing(connection.dialect.name, self._query.sort, frozenset(given)), given

    def page(self, rows: Sequence[Row[Any]]) -> Page:
        """Return the page that these rows make."""
        shown = rows[: self._query.limit]
        more = None
        if len(rows) > len(shown):
            last = shown[-1]
            more = cursor(self._list, Place(getattr(last, self._query.column), last.id))
        return Page([record(row) for row in shown], more)


@lru_cache(maxsize=1024)
def listing(dialect: str, sort: str, given: frozenset[str]) -> Select[Any]:
    """Return the statement of a list in this order with these parameters.

    `after` and `after_id` begin behind an item; `most` is the number of rows; `match` and
    `numbers` narrow to what the text index found; the others are as in `Query`.
    """
    column = _ITEM[sort.removeprefix("-")]
    conditions = _CONDITIONS | _OF_FEW if "numbers" in given else _CONDITIONS
    wanted: list[ColumnElement[bool] | TextClause] = [
        conditions[name] for name in sorted(given & conditions.keys())
    ]
    if "match" in given:
        wanted.append(index.matching(dialect))
    if "after" in given:
        wanted.append(_behind(column, descending=sort.startswith("-")))
    order = (column.desc(), _ITEM.id.desc()) if sort.startswith("-") else (column, _ITEM.id)
    found = select(*COLUMNS).where(*wanted).order_by(*order)
    return found.limit(bindparam("most", type_=Integer))


def _behind(column: ColumnElement[Any], *, descending: bool) -> ColumnElement[bool]:
    """Compare the pair as a whole: the row value is what the index is searched by."""
    here = tuple_(column, _ITEM.id)
    there = tuple_(bindparam("after", type_=column.type), bindparam("after_id", type_=String()))
    return here < there if descending else here > there
