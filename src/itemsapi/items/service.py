"""The shelf: the one door to the items.

`owner` is whose items are meant, `None` everybody's; it is part of every statement, so another
user's item is never found, counted or compared (S-081). A change is one transaction over the item
and its words.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, delete, exc, insert, select, update
from sqlalchemy.orm import Session

from itemsapi.clock import Clock, new_id
from itemsapi.db import Database
from itemsapi.idempotency import IdempotentRequest, claim_key
from itemsapi.items import search_index
from itemsapi.items.cursor import Page
from itemsapi.items.draft import ItemDraft, storable
from itemsapi.items.listing import ListingQuery
from itemsapi.items.models import COLUMNS, Item, ItemRecord, draft, record, values
from itemsapi.items.query import Query
from itemsapi.items.quota import Quota, size_of
from itemsapi.preconditions import Expected, check_version
from itemsapi.problems import Conflict, NotFound
from itemsapi.quota_usage import subtract_usage

_TABLE = Item.core()
_ANY = select(*COLUMNS).where(_TABLE.c.id == bindparam("item_id"))
_OWN = _ANY.where(_TABLE.c.owner_id == bindparam("owner"))
_STORED = (*COLUMNS, _TABLE.c.number)
_CONFLICTS: Final = dict.fromkeys(
    ("23505", "SQLITE_CONSTRAINT_UNIQUE"), "Another item of this owner has this sku."
) | dict.fromkeys(("23503", "SQLITE_CONSTRAINT_FOREIGNKEY"), "The owner's account is gone.")


class ItemService:
    """The items of a database. Raises `DatabaseUnavailable` wherever it is away.

    `version` is the one a change was made against, or what must hold of it. All changes
    raise `NotFound` before `PreconditionFailed`, and `Conflict` if the sku is taken.
    """

    def __init__(self, database: Database, clock: Clock, quota: Quota) -> None:
        """Open the shelf; nothing is read yet."""
        self._database, self._quota = database, quota
        self._clock = clock

    def get(self, item_id: str, *, owner: str | None) -> ItemRecord:
        """Return an item. Raises `NotFound`."""
        which = _which(item_id, owner)
        with self._database.reading() as connection:
            row = connection.execute(_ANY if owner is None else _OWN, which).one_or_none()
        if row is None:
            raise NotFound
        return record(row)

    def page(self, query: Query, *, owner: str | None) -> Page:
        """Return a page of the items that a query asks for. Raises `Invalid` for its cursor."""
        asked = ListingQuery(query, owner, self._database.dialect)
        if asked.nothing:
            return Page([], None)
        with self._database.reading() as connection:
            rows = asked.rows(connection)
        return asked.page(rows)

    def create(self, said: ItemDraft, *, owner: str, key: str | None = None) -> ItemRecord:
        """Put a new item on the shelf of its owner. Raises `Conflict`, `QuotaExceeded`.

        With a `key` that this owner used before it returns, as it is now, the item made then.
        Raises `KeyReused` if that one's draft was another.
        """
        item_id, now = new_id(), self._clock()
        with _conflicts(), self._database.transaction() as tx:
            if key is not None:
                asked = IdempotentRequest(owner, "create an item", key, json.dumps(values(said)))
                first = claim_key(tx, asked, item_id, now)
                if first != item_id:
                    return _made_before(tx, first, owner)
            self._quota.add_usage(
                tx, owner, now, size=size_of(said), items=1, keys=int(key is not None)
            )
            made = {"id": item_id, "owner_id": owner, "created_at": now, "updated_at": now}
            return self._enter(tx, values(said) | made | {"version": 1}, said)

    def change(
        self, item_id: str, changes: Mapping[str, Any], *, owner: str | None, version: Expected
    ) -> ItemRecord:
        """Change the given fields of an item. Raises `Invalid` for what they make of it."""
        with _conflicts(), self._database.transaction() as tx:
            row = _locked(tx, item_id, owner, version)
            return self._store(tx, row, replace(draft(row), **changes))

    def replace(
        self, item_id: str, said: ItemDraft, *, owner: str | None, version: Expected
    ) -> ItemRecord:
        """Change all fields of an item at once."""
        with _conflicts(), self._database.transaction() as tx:
            return self._store(tx, _locked(tx, item_id, owner, version), said)

    def delete(self, item_id: str, *, owner: str | None, version: Expected) -> None:
        """Take an item off the shelf for good."""
        with self._database.transaction() as tx:
            row = _locked(tx, item_id, owner, version)
            search_index.drop(tx, row.number)
            subtract_usage(tx, row.owner_id, size=size_of(draft(row)), items=1)
            tx.execute(delete(_TABLE).where(*_unchanged(row)))

    def _enter(self, tx: Session, fields: Mapping[str, Any], said: ItemDraft) -> ItemRecord:
        row = tx.execute(insert(_TABLE).values(fields).returning(*_STORED)).one()
        search_index.put(tx, row.number, row.owner_id, said)
        return record(row)

    def _store(self, tx: Session, row: Row[Any], said: ItemDraft) -> ItemRecord:
        self._resize(tx, row.owner_id, size_of(said) - size_of(draft(row)))
        fields = values(said) | {"updated_at": self._clock(), "version": row.version + 1}
        changed = update(_TABLE).where(*_unchanged(row)).values(fields).returning(*COLUMNS)
        fresh = record(tx.execute(changed).one())
        if search_index.said(said) != search_index.said(draft(row)):
            search_index.put(tx, row.number, row.owner_id, said)
        return fresh

    def _resize(self, tx: Session, owner: str, more: int) -> None:
        """Count an item as larger, where there is room for that, or as smaller."""
        if more > 0:
            self._quota.add_usage(tx, owner, self._clock(), size=more)
        elif more < 0:
            subtract_usage(tx, owner, size=-more)


def _made_before(tx: Session, item_id: str, owner: str) -> ItemRecord:
    row = tx.execute(_OWN, _which(item_id, owner)).one_or_none()
    if row is None:
        raise Conflict("The item that was made with this Idempotency-Key is deleted.")
    return record(row)


def _which(item_id: str, owner: str | None) -> dict[str, str | None]:
    if not storable(item_id):
        raise NotFound
    return {"item_id": item_id, "owner": owner}


def _locked(tx: Session, item_id: str, owner: str | None, version: Expected) -> Row[Any]:
    """Return the row of an item that nobody else changes until the end of this transaction."""
    found = (_ANY if owner is None else _OWN).add_columns(_TABLE.c.number).with_for_update()
    row = tx.execute(found, _which(item_id, owner)).one_or_none()
    if row is None:
        raise NotFound
    check_version(version, row.version)
    return row


def _unchanged(row: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that a row is still the one that was read."""
    return (_TABLE.c.number == row.number, _TABLE.c.version == row.version)


@contextmanager
def _conflicts() -> Iterator[None]:
    """Turn a broken constraint that a caller can bring about into a problem."""
    try:
        yield
    except exc.IntegrityError as error:
        fact = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", "")
        if fact not in _CONFLICTS:
            raise
        raise Conflict(_CONFLICTS[fact]) from error
