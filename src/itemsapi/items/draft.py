"""A draft: what a user says of an item, checked before anything is stored."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from itemsapi.control_characters import held
from itemsapi.items.money import priced
from itemsapi.items.tokenizer import folded
from itemsapi.problems import Invalid

NAME = 200
DESCRIPTION = 10_000
SKU = 64
QUANTITY: Final = 2**31 - 1
TAGS = 20
TAG = 40
_LENGTHS: Final = (("name", 1, NAME), ("description", 0, DESCRIPTION), ("sku", 1, SKU))
_REFUSED = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDraft:
    """The fields of an item that its owner decides; lengths in characters.

    `amount` is the price in ten-thousandths. Raises `Invalid`, which names every field at fault.
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
        """Refuse what could not be stored, or not be told apart later."""
        faults = [*self._faults()]
        if faults:
            raise Invalid(errors=faults)
        object.__setattr__(self, "tags", tags(self.tags))
        object.__setattr__(self, "amount", priced(self.price, self.currency))

    def _faults(self) -> Iterable[dict[str, str]]:
        for name, least, most in _LENGTHS:
            text = getattr(self, name)
            if text is not None and not least <= len(text) <= most:
                yield {"field": name, "message": f"must be {least} to {most} characters long"}
            elif text is not None and not storable(text):
                yield {"field": name, "message": "must not hold NUL or half a surrogate pair"}
            elif text is not None and held(text, lines=name == "description"):
                yield {"field": name, "message": "must not hold control characters"}
        if not 0 <= self.quantity <= QUANTITY:
            yield {"field": "quantity", "message": f"must be from 0 to {QUANTITY}"}


def tags(given: Iterable[str]) -> tuple[str, ...]:
    """Return tags as they are stored: normalised, each once. Raises `Invalid`."""
    clean = tuple(dict.fromkeys(tag(text) for text in given))
    if len(clean) > TAGS:
        raise Invalid(errors=[{"field": "tags", "message": f"must be at most {TAGS}"}])
    return clean


def tag(text: str) -> str:
    """Return a tag in its one spelling: NFKC, case folded, single spaces. Raises `Invalid`."""
    clean = " ".join(folded(text).split())
    if not 1 <= len(clean) <= TAG or not storable(clean) or held(clean):
        message = f"a tag must be 1 to {TAG} characters long, without control characters"
        raise Invalid(errors=[{"field": "tags", "message": message}])
    return clean


def storable(text: str) -> bool:
    """Tell whether every database takes this text: no NUL, no half of a surrogate pair."""
    return _REFUSED.search(text) is None
