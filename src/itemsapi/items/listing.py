"""Listing: reads a page of a list of items.

A list without filters is read along the index of its sort order, and so is a range of the field
that it is sorted by. Any other filters are a search (see `search_plan`). A list of one owner uses
an index of owner, sort field and id; a list of all, one of sort field and id.

The size of a page in bytes is bounded, and so is what is read for it (S-111). SQLite returns row
by row. PostgreSQL's driver reads the whole result, so for a large page the statement itself sums
up the lengths.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson
from sqlalchemy import Row

from itemsapi.db import Database, Fetch, Lookup
from itemsapi.items import search_index
from itemsapi.items.list_statements import ListShape, list_lookup
from itemsapi.items.models import (
    MAX_NAME_LENGTH,
    MAX_SKU_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TAGS,
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
from itemsapi.items.search_plan import Found, Search
from itemsapi.items.tokenizer import Term
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
_SORT_TYPES: Final[dict[str, type[SortValue]]] = {"name": str, "price": int, "quantity": int}


class ListingQuery:
    """A query of one reader: the rows of its page, and the page made from them."""

    def __init__(self, query: ItemListQuery, owner: str | None, dialect: str) -> None:
        """Collect the parameters. Raise `ValidationFailed` for a cursor of another list."""
        self._query = query
        self._owner = query.owner_id if owner is None else owner
        self._params = query.column_filters()
        if self._owner is not None:
            self._params["owner"] = self._owner
        self.is_empty = query.terms == [] or (
            owner is not None and query.owner_id not in {None, owner}
        )
        self._terms = _word_terms(query)
        for name, term in self._terms.items():
            self._params[name] = search_index.word_value(dialect, term)
        self._fingerprint = fingerprint(query.sort, sorted(self._params.items()))
        if query.cursor is not None:
            sort_type = _SORT_TYPES.get(query.sort_field, datetime)
            position = decode_cursor(self._fingerprint, query.cursor, sort_type)
            self._params |= {"after": position.value, "after_id": position.id}
        self._is_long = query.limit > FETCH_BATCH_ROWS
        self._shape = ListShape(dialect, query.sort, frozenset(self._params), self._is_long)
        self._params["row_limit"] = query.limit + 1  # one more shows whether more follow

    def read(self, database: Database) -> Page[ItemRecord]:
        """Read the page."""
        if self._shape.subjects:
            with database.fetching() as fetch:
                return self._build_page(self._search(database, fetch).run())
        fetch_items = self._fetch_items(database, database.fetch)
        return self._build_page(Found([*fetch_items(list_lookup(self._shape), self._params)]))

    def _search(self, database: Database, fetch: Fetch) -> Search:
        """Return the search for the rows of the page."""
        return Search(
            shape=self._shape,
            params=self._params,
            terms=self._terms | _currency_term(self._query),
            owner=self._owner,
            is_full=self._is_full,
            fetch=fetch,
            fetch_items=self._fetch_items(database, fetch),
        )

    def _fetch_items(self, database: Database, fetch: Fetch) -> Fetch:
        """Return what runs a look-up of items; on SQLite it omits those after a full page."""
        is_cut = self._is_long and self._shape.dialect == "sqlite"
        return partial(_fetch_until_full, database) if is_cut else fetch

    def _is_full(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Return whether these rows fill a page, by number or by their bytes."""
        return len(rows) > self._query.limit or (
            self._is_long and sum(map(_description_bytes, rows)) > MAX_PAGE_BYTES
        )

    def _build_page(self, found: Found) -> Page[ItemRecord]:
        """Return the page made from these rows: up to the limit, and up to the size of a page.

        If all of them fit, the next page starts where the search stopped.
        """
        items = to_records(found.rows[: self._query.limit])
        sizes = None if _surely_fit(items) else map(_json_size, items)
        page = cut_page(
            found.rows, self._query.limit, cursor_after=self._cursor_after, row_sizes=sizes
        )
        next_cursor = page.next_cursor
        if next_cursor is None and found.stop is not None:
            next_cursor = self._cursor_after(found.stop)
        return Page(items[: len(page.items)], next_cursor)

    def _cursor_after(self, row: Sequence[Any]) -> str:
        position = CursorPosition(row[_INDEXES[self._query.sort_field]], row[_INDEXES["id"]])
        return encode_cursor(self._fingerprint, position)


def _word_terms(query: ItemListQuery) -> dict[str, Term]:
    """Return the words that an item must have, named `word_0` and so on: of `q` and of tags."""
    tags = [Term(word, prefix=False) for word in search_index.filter_words(query.tags, None, None)]
    return {f"word_{at}": term for at, term in enumerate([*(query.terms or []), *tags])}


def _currency_term(query: ItemListQuery) -> dict[str, Term]:
    """Return the word by which the text index finds a currency, which no other index has."""
    if query.currency is None:
        return {}
    [word] = search_index.filter_words((), query.currency, None)
    return {"currency": Term(word, prefix=False)}


def _fetch_until_full(
    database: Database, lookup: Lookup, params: Mapping[str, Any]
) -> list[Row[Any]]:
    """Read rows until their descriptions fill a page."""
    rows: list[Row[Any]] = []
    remaining_bytes = MAX_PAGE_BYTES
    with database.reading() as connection:
        result = connection.execute(lookup.statement, params)
        while remaining_bytes >= 0 and (batch := result.fetchmany(FETCH_BATCH_ROWS)):
            rows += batch
            remaining_bytes -= sum(map(_description_bytes, batch))
        result.close()
    return rows


def _description_bytes(row: Sequence[Any]) -> int:
    return len(row[_INDEXES["description"]].encode())


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
