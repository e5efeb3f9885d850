"""Items: the table, and the record that a reader is handed."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from itemsapi.db import Model
from itemsapi.items.draft import NAME, QUANTITY, SKU, ItemDraft
from itemsapi.items.money import shown

SORTS = ("created_at", "updated_at", "name", "price", "quantity")
_BETWEEN_TAGS = "\n"  # no tag holds one


class Item(Model):
    """One item. `number` only ties the row to its words; `price` is in ten-thousandths.

    `name` compares by code point on both databases, so that pages run in the same order.
    """

    __tablename__ = "item"

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True
    )
    id: Mapped[str] = mapped_column(String(36), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("itemsapi_user.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(
        String(NAME).with_variant(String(NAME, collation="C"), "postgresql")
    )
    description: Mapped[str] = mapped_column(Text)
    sku: Mapped[str | None] = mapped_column(String(SKU))
    price: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    quantity: Mapped[int]
    tags: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]

    __table_args__ = (
        # in this order it finds a sku among everybody's items too
        UniqueConstraint("sku", "owner_id", name="uq_item_sku"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint(f"quantity BETWEEN 0 AND {QUANTITY}", name="quantity"),
        *(Index(f"ix_item_owner_id_{sort}_id", "owner_id", sort, "id") for sort in SORTS),
        *(Index(f"ix_item_{sort}_id", sort, "id") for sort in SORTS),
        {"sqlite_autoincrement": True},
    )


class ItemRecord(NamedTuple):
    """An item as it is handed out: the price a decimal string, the tags a list."""

    id: str
    owner_id: str
    name: str
    description: str
    sku: str | None
    price: str
    currency: str
    quantity: int
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    version: int


COLUMNS = tuple(Item.core().c[name] for name in ItemRecord._fields)
_WIDTH = len(COLUMNS)
_PRICE, _TAGS = (ItemRecord._fields.index(name) for name in ("price", "tags"))


def record(row: Row[Any]) -> ItemRecord:
    """Make the record of a row of `COLUMNS`; by position, which is what makes a list fast."""
    fields = [*row[:_WIDTH]]
    fields[_PRICE] = shown(fields[_PRICE], fields[_PRICE + 1])
    fields[_TAGS] = fields[_TAGS].split(_BETWEEN_TAGS) if fields[_TAGS] else []
    return ItemRecord._make(fields)


def draft(row: Row[Any]) -> ItemDraft:
    """Return what the owner of a row of `COLUMNS` said of it, by whatever rules held then.

    It is not checked again: what an older version let in can be replaced and deleted.
    """
    kept = record(row)._asdict()
    said = object.__new__(ItemDraft)
    for name in ("name", "price", "currency", "description", "sku", "quantity"):
        object.__setattr__(said, name, kept[name])
    object.__setattr__(said, "tags", tuple(kept["tags"]))
    object.__setattr__(said, "amount", row.price)
    return said


def values(said: ItemDraft) -> dict[str, Any]:
    """Return the columns that a draft fills."""
    return {
        "name": said.name,
        "description": said.description,
        "sku": said.sku,
        "price": said.amount,
        "currency": said.currency,
        "quantity": said.quantity,
        "tags": _BETWEEN_TAGS.join(said.tags),
    }
