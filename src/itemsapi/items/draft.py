"""Item drafts: the fields of an item that a user sends, validated before they are stored."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from itemsapi.control_characters import has_control_characters
from itemsapi.items.money import parse_price
from itemsapi.items.tokenizer import normalize_text
from itemsapi.problems import ValidationFailed

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

    `amount` is the price in ten-thousandths. Raise `ValidationFailed` with every invalid field.
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
