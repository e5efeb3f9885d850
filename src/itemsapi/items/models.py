"""Items: the table, and the record that is returned to a reader."""

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
from itemsapi.items.draft import MAX_NAME_LENGTH, MAX_QUANTITY, MAX_SKU_LENGTH, ItemDraft
from itemsapi.items.money import format_amount

SORT_FIELDS = ("created_at", "updated_at", "name", "price", "quantity")
_TAG_SEPARATOR = "\n"  # no tag contains a line break


class Item(Model):
    """An item. `number` only links the row to its words; `price` is in ten-thousandths.

    `name` is compared by code point on both databases, so that pages have the same order.
    """

    __tablename__ = "item"

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True
    )
    id: Mapped[str] = mapped_column(String(36), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("itemsapi_user.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(
        String(MAX_NAME_LENGTH).with_variant(String(MAX_NAME_LENGTH, collation="C"), "postgresql")
    )
    description: Mapped[str] = mapped_column(Text)
    sku: Mapped[str | None] = mapped_column(String(MAX_SKU_LENGTH))
    price: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    quantity: Mapped[int]
    tags: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]

    __table_args__ = (
        # In this order the index also finds a sku among the items of all users.
        UniqueConstraint("sku", "owner_id", name="uq_item_sku"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint(f"quantity BETWEEN 0 AND {MAX_QUANTITY}", name="quantity"),
        *(Index(f"ix_item_owner_id_{sort}_id", "owner_id", sort, "id") for sort in SORT_FIELDS),
        *(Index(f"ix_item_{sort}_id", sort, "id") for sort in SORT_FIELDS),
        {"sqlite_autoincrement": True},
    )


class ItemRecord(NamedTuple):
    """An item as it is returned: the price as a decimal string, the tags as a list."""

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
_COLUMN_COUNT = len(COLUMNS)
_PRICE_INDEX, _TAGS_INDEX = (ItemRecord._fields.index(name) for name in ("price", "tags"))


def to_record(row: Row[Any]) -> ItemRecord:
    """Return the record of a row of `COLUMNS`; access by position keeps long lists fast."""
    fields = [*row[:_COLUMN_COUNT]]
    fields[_PRICE_INDEX] = format_amount(fields[_PRICE_INDEX], fields[_PRICE_INDEX + 1])
    tags = fields[_TAGS_INDEX]
    fields[_TAGS_INDEX] = tags.split(_TAG_SEPARATOR) if tags else []
    return ItemRecord._make(fields)


def to_draft(row: Row[Any]) -> ItemDraft:
    """Return the draft of a row of `COLUMNS`.

    It is not validated again, so an item that an older version accepted can still be replaced
    and deleted.
    """
    fields = to_record(row)._asdict()
    draft = object.__new__(ItemDraft)
    for name in ("name", "price", "currency", "description", "sku", "quantity"):
        object.__setattr__(draft, name, fields[name])
    object.__setattr__(draft, "tags", tuple(fields["tags"]))
    object.__setattr__(draft, "amount", row.price)
    return draft


def column_values(draft: ItemDraft) -> dict[str, Any]:
    """Return the values of the columns that a draft sets."""
    return {
        "name": draft.name,
        "description": draft.description,
        "sku": draft.sku,
        "price": draft.amount,
        "currency": draft.currency,
        "quantity": draft.quantity,
        "tags": _TAG_SEPARATOR.join(draft.tags),
    }
