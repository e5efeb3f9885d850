"""Users and items in a database of this service."""

import logging

from rich.progress import track
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from bench.dataset import PASSWORD, items_of, user_names
from itemsapi import db
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.composition import Services
from itemsapi.items import search_index
from itemsapi.items.models import Item, ItemDraft, column_values
from itemsapi.observability.logging import set_log_level

_TABLE = Item.core()
DRAFT_FIELDS = ("name", "description", "sku", "price", "currency", "quantity")


def fill(services: Services, users: int, items_per_user: int) -> None:
    """Create the tables, the users and their items; all users have the same password."""
    set_log_level(level=logging.CRITICAL)  # each user would be a line
    db.upgrade(services.database)
    names = user_names(users)
    for user, name in enumerate(track(names, description=f"{users * items_per_user:,} items")):
        owner = services.users.create(COMMAND_LINE, name, PASSWORD, ["member"]).id
        with services.database.transaction() as tx:
            _add_items(tx, owner, user, items_per_user)


def _add_items(tx: Session, owner: str, user: int, count: int) -> None:
    drafts = {}
    rows = []
    for item in items_of(user, count):
        fields = {name: getattr(item, name) for name in DRAFT_FIELDS}
        drafts[item.id] = draft = ItemDraft(**fields, tags=tuple(item.tags))
        times = dict.fromkeys(("created_at", "updated_at"), item.created_at)
        rows.append(column_values(draft) | times | {"id": item.id, "owner_id": owner, "version": 1})
    tx.execute(insert(_TABLE), rows)
    numbers = tx.execute(select(_TABLE.c.id, _TABLE.c.number).where(_TABLE.c.owner_id == owner))
    for item_id, number in numbers.all():
        search_index.index_item(tx, number, owner, drafts[item_id])
