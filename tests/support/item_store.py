"""Items in a database and their owners, for tests of the item service."""

from collections.abc import Iterator, Sequence
from typing import Any

from itemsapi.accounts.models import User
from itemsapi.clock import Clock, new_id
from itemsapi.db import Database
from itemsapi.items.models import ItemDraft, ItemRecord
from itemsapi.items.query import ItemListQuery
from itemsapi.items.quota import Quota
from itemsapi.items.service import ItemService


def draft(**fields: Any) -> ItemDraft:
    """Return a draft with the required fields and `fields`."""
    return ItemDraft(**({"name": "Lamp", "price": "12.50", "currency": "EUR"} | fields))


class ItemStore:
    """Items in a database, with helpers to create and find them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Start with one owner without items."""
        self.database = database
        self.clock = clock
        self.items = ItemService(database, clock, Quota(10**9, 10**12, 10**9))
        self.ada = self.create_owner()

    def create_owner(self) -> str:
        """Create a user; return the id."""
        user_id, now = new_id(), self.clock()
        with self.database.transaction() as tx:
            tx.add(
                User(
                    id=user_id, username=user_id, password_hash="-", created_at=now, updated_at=now
                )
            )
        return user_id

    def create(
        self, owner: str | None = None, *, key: str | None = None, **fields: Any
    ) -> ItemRecord:
        """Create an item, owned by ada by default."""
        return self.items.create(draft(**fields), owner=owner or self.ada, key=key)

    def names(self, owner: str | None = "", **query: Any) -> list[str]:
        """Return the item names on the first page of a query, by default of ada's items."""
        page = self.items.get_page(ItemListQuery(**query), owner=self.ada if owner == "" else owner)
        return [item.name for item in page.items]

    def pages(self, owner: str | None = "", **query: Any) -> Iterator[Sequence[ItemRecord]]:
        """Yield the items of each page of a query."""
        cursor: str | None = None
        owner_id = self.ada if owner == "" else owner
        while True:
            page = self.items.get_page(ItemListQuery(**query, cursor=cursor), owner=owner_id)
            yield page.items
            if (cursor := page.next_cursor) is None:
                return
