"""Items: the draft that a user sends, the table, and the record that a reader gets."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

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

from itemsapi.control_characters import has_control_characters
from itemsapi.db import Model
from itemsapi.items.money import format_amount, parse_price
from itemsapi.items.tokenizer import normalize_text
from itemsapi.problems import ValidationFailed

# Item drafts: the fields of an item that a user sends, validated before they are stored.

MAX_NAME_LENGTH = 200  # lengths are in characters
MAX_DESCRIPTION_LENGTH = 10_000
MAX_SKU_LENGTH = 64
MAX_QUANTITY: Final = 2**31 - 1
MAX_TAGS = 20
MAX_TAG_LENGTH = 40
_LENGTHS: Final = (
    ("name", 1, MAX_NAME_LENGTH),
    ("description", 0, MAX_DESCRIPTION_LENGTH),
    ("sku", 1, MAX_SKU_LENGTH),
)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDraft:
    """The fields of an item that its owner sets.

    `amount` is the price in ten-thousandths. Raise `ValidationFailed` with all fields whose length,
    characters or range are invalid; tags and price are validated after these.
    """

    name: str
    price: str
    currency: str
    description: str = ""
    sku: str | None = None
    quantity: int = 0
    tags: tuple[str, ...] = ()
    amount: int = field(init=False)

    def __post_init__(self) -> None:
        """Validate the fields, normalise the tags and parse the price."""
        errors = [*self._errors()]
        if errors:
            raise ValidationFailed(errors=errors)
        object.__setattr__(self, "tags", normalize_tags(self.tags))
        object.__setattr__(self, "amount", parse_price(self.price, self.currency))

    def _errors(self) -> Iterable[dict[str, str]]:
        for name, min_length, max_length in _LENGTHS:
            text = getattr(self, name)
            if text is None:
                continue
            if not min_length <= len(text) <= max_length:
                message = f"must be {min_length} to {max_length} characters long"
                yield {"field": name, "message": message}
            elif not is_storable(text):
                yield {"field": name, "message": "must not contain NUL or an unpaired surrogate"}
            elif has_control_characters(text, multiline=name == "description"):
                yield {"field": name, "message": "must not contain control characters"}
        if not 0 <= self.quantity <= MAX_QUANTITY:
            yield {"field": "quantity", "message": f"must be from 0 to {MAX_QUANTITY}"}


def normalize_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags as they are stored: normalised, without duplicates.

    Raise `ValidationFailed` if there are too many, or if one of them is invalid.
    """
    normalized = tuple(dict.fromkeys(normalize_tag(tag) for tag in tags))
    if len(normalized) > MAX_TAGS:
        raise ValidationFailed(errors=[{"field": "tags", "message": f"must be at most {MAX_TAGS}"}])
    return normalized


def normalize_tag(text: str) -> str:
    """Return a tag as it is stored: NFKC, case folded, single spaces.

    Raise `ValidationFailed` if it is empty, too long or cannot be stored.
    """
    tag = " ".join(normalize_text(text).split())
    if not 1 <= len(tag) <= MAX_TAG_LENGTH or not is_storable(tag) or has_control_characters(tag):
        message = f"a tag must be 1 to {MAX_TAG_LENGTH} characters long, without control characters"
        raise ValidationFailed(errors=[{"field": "tags", "message": message}])
    return tag


def is_storable(text: str) -> bool:
    """Return whether every database can store this text: no NUL, no unpaired surrogate."""
    return _UNSTORABLE.search(text) is None


SORT_FIELDS = ("created_at", "updated_at", "name", "price", "quantity")
_TAG_SEPARATOR = "\n"  # no tag contains a line break


class Item(Model):
    """An item. `number` only links the row to its words; `price` is in ten-thousandths.

    `name` is compared by code point on both databases, so that pages have the same order.
    """

    __tablename__ = "itemsapi_item"

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
        UniqueConstraint("sku", "owner_id", name="uq_itemsapi_item_sku"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint(f"quantity BETWEEN 0 AND {MAX_QUANTITY}", name="quantity"),
        *(
            Index(f"ix_itemsapi_item_owner_id_{sort}_id", "owner_id", sort, "id")
            for sort in SORT_FIELDS
        ),
        *(Index(f"ix_itemsapi_item_{sort}_id", sort, "id") for sort in SORT_FIELDS),
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


_PRICE, _CURRENCY, _TAGS = (ItemRecord._fields.index(n) for n in ("price", "currency", "tags"))


def to_record(row: Sequence[Any]) -> ItemRecord:
    """Return the record of a row that begins with `COLUMNS`."""
    return to_records([row])[0]


def to_records(rows: Sequence[Sequence[Any]]) -> list[ItemRecord]:
    """Return the records of rows that begin with `COLUMNS`.

    The columns are converted, not the rows: a list spends much of its time here.
    """
    if not rows:
        return []
    columns: list[Any] = [*zip(*rows, strict=True)][: len(COLUMNS)]
    columns[_PRICE] = map(format_amount, columns[_PRICE], columns[_CURRENCY])
    columns[_TAGS] = [tags.split(_TAG_SEPARATOR) if tags else [] for tags in columns[_TAGS]]
    return [*map(ItemRecord._make, zip(*columns, strict=True))]


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
