"""The item service: the entry point to everything that is done with items.

`owner` is the user whose items are meant, `None` means those of all users. It is part of every
statement, so another user's item is never found, counted or compared (S-081). A change is one
transaction over the item and its words in the text index.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, delete, exc, insert, select, update
from sqlalchemy.orm import Session

from itemsapi.clock import Clock, new_id
from itemsapi.db import Database, Lookup
from itemsapi.idempotency import IdempotentRequest, store_key
from itemsapi.items import search_index
from itemsapi.items.listing import ListingQuery
from itemsapi.items.models import (
    COLUMNS,
    Item,
    ItemDraft,
    ItemRecord,
    column_values,
    is_storable,
    to_draft,
    to_record,
)
from itemsapi.items.query import ItemListQuery
from itemsapi.items.quota import Quota, text_size
from itemsapi.paging import Page
from itemsapi.preconditions import ExpectedVersion, check_version
from itemsapi.problems import Conflict, NotFound
from itemsapi.quota_usage import subtract_usage

_TABLE = Item.core()
_SELECT_ANY = select(*COLUMNS).where(_TABLE.c.id == bindparam("item_id"))
_SELECT_OWNED = _SELECT_ANY.where(_TABLE.c.owner_id == bindparam("owner"))
_FIND_ANY, _FIND_OWNED = Lookup(_SELECT_ANY), Lookup(_SELECT_OWNED)
_STORED_COLUMNS = (*COLUMNS, _TABLE.c.number)
_CONFLICTS: Final = dict.fromkeys(
    ("23505", "SQLITE_CONSTRAINT_UNIQUE"), "Another item of this owner has this sku."
) | dict.fromkeys(("23503", "SQLITE_CONSTRAINT_FOREIGNKEY"), "The owner no longer exists.")


class ItemService:
    """The items of a database. Every method raises `DatabaseUnavailable` if it is unreachable.

    `version` is the version that a change was made against, or a precondition on the stored one.
    All changes raise `NotFound` before `PreconditionFailed`, and `Conflict` if the sku is taken.
    """

    def __init__(self, database: Database, clock: Clock, quota: Quota) -> None:
        """Keep the collaborators; the database is not read yet."""
        self._database, self._quota = database, quota
        self._clock = clock

    def get(self, item_id: str, *, owner: str | None) -> ItemRecord:
        """Return an item. Raise `NotFound`."""
        lookup, params = _FIND_ANY if owner is None else _FIND_OWNED, _item_params(item_id, owner)
        for row in self._database.fetch(lookup, params):
            return to_record(row)
        raise NotFound

    def get_page(self, query: ItemListQuery, *, owner: str | None) -> Page[ItemRecord]:
        """Return a page of the items that match a query.

        Raise `ValidationFailed` if the cursor belongs to another list.
        """
        listing = ListingQuery(query, owner, self._database.dialect)
        if listing.is_empty:
            return Page([], None)
        return listing.read(self._database)

    def create(self, draft: ItemDraft, *, owner: str, key: str | None = None) -> ItemRecord:
        """Create an item. Raise `Conflict` or `QuotaExceeded`.

        If this owner used the idempotency `key` before, return the item that was created then, as
        it is now. Raise `KeyReused` if it was created from another draft.
        """
        item_id, now = new_id(), self._clock()
        fields = column_values(draft)
        with _translate_conflicts(), self._database.transaction() as tx:
            if key is not None:
                request = IdempotentRequest(owner, "create an item", key, json.dumps(fields))
                stored_id = store_key(tx, request, item_id, now)
                if stored_id != item_id:
                    return _created_before(tx, stored_id, owner)
            self._quota.add_usage(
                tx, owner, now, size=text_size(draft), items=1, keys=int(key is not None)
            )
            generated = {"id": item_id, "owner_id": owner, "created_at": now, "updated_at": now}
            return self._insert(tx, fields | generated | {"version": 1}, draft)

    def update(
        self,
        item_id: str,
        changes: Mapping[str, Any],
        *,
        owner: str | None,
        version: ExpectedVersion,
    ) -> ItemRecord:
        """Change some fields of an item. Raise `ValidationFailed` if the result is invalid."""
        with _translate_conflicts(), self._database.transaction() as tx:
            row = _select_for_update(tx, item_id, owner, version)
            return self._update_row(tx, row, replace(to_draft(row), **changes))

    def replace(
        self, item_id: str, draft: ItemDraft, *, owner: str | None, version: ExpectedVersion
    ) -> ItemRecord:
        """Replace all fields of an item."""
        with _translate_conflicts(), self._database.transaction() as tx:
            return self._update_row(tx, _select_for_update(tx, item_id, owner, version), draft)

    def delete(self, item_id: str, *, owner: str | None, version: ExpectedVersion) -> None:
        """Delete an item."""
        with self._database.transaction() as tx:
            row = _select_for_update(tx, item_id, owner, version)
            search_index.remove_item(tx, row.number)
            subtract_usage(tx, row.owner_id, size=text_size(to_draft(row)), items=1)
            tx.execute(delete(_TABLE).where(*_is_unchanged(row)))

    def _insert(self, tx: Session, fields: Mapping[str, Any], draft: ItemDraft) -> ItemRecord:
        row = tx.execute(insert(_TABLE).values(fields).returning(*_STORED_COLUMNS)).one()
        search_index.index_item(tx, row.number, row.owner_id, draft)
        return to_record(row)

    def _update_row(self, tx: Session, row: Row[Any], draft: ItemDraft) -> ItemRecord:
        stored_draft = to_draft(row)
        self._adjust_usage(tx, row.owner_id, text_size(draft) - text_size(stored_draft))
        fields = column_values(draft) | {"updated_at": self._clock(), "version": row.version + 1}
        statement = update(_TABLE).where(*_is_unchanged(row)).values(fields).returning(*COLUMNS)
        updated = to_record(tx.execute(statement).one())
        if search_index.indexed_texts(draft) != search_index.indexed_texts(stored_draft):
            search_index.index_item(tx, row.number, row.owner_id, draft)
        return updated

    def _adjust_usage(self, tx: Session, owner: str, added_bytes: int) -> None:
        """Add to the usage if the quota allows it, or subtract if the number is negative."""
        if added_bytes > 0:
            self._quota.add_usage(tx, owner, self._clock(), size=added_bytes)
        elif added_bytes < 0:
            subtract_usage(tx, owner, size=-added_bytes)


def _created_before(tx: Session, item_id: str, owner: str) -> ItemRecord:
    row = tx.execute(_SELECT_OWNED, _item_params(item_id, owner)).one_or_none()
    if row is None:
        raise Conflict("The item that was created with this Idempotency-Key is deleted.")
    return to_record(row)


def _item_params(item_id: str, owner: str | None) -> dict[str, str | None]:
    if not is_storable(item_id):
        raise NotFound
    return {"item_id": item_id, "owner": owner}


def _select_for_update(
    tx: Session, item_id: str, owner: str | None, version: ExpectedVersion
) -> Row[Any]:
    """Return the row of an item, locked until the end of this transaction."""
    statement = _SELECT_ANY if owner is None else _SELECT_OWNED
    locking = statement.add_columns(_TABLE.c.number).with_for_update()
    row = tx.execute(locking, _item_params(item_id, owner)).one_or_none()
    if row is None:
        raise NotFound
    check_version(version, row.version)
    return row


def _is_unchanged(row: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that the stored row is still the one that was read."""
    return (_TABLE.c.number == row.number, _TABLE.c.version == row.version)


@contextmanager
def _translate_conflicts() -> Iterator[None]:
    """Raise `Conflict` for a violated constraint that a caller can cause."""
    try:
        yield
    except exc.IntegrityError as error:
        code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", "")
        if code not in _CONFLICTS:
            raise
        raise Conflict(_CONFLICTS[code]) from error
