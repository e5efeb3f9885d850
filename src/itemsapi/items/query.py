"""A query: which items a list should hold, in which order, checked before it meets a database."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from itemsapi.items.draft import storable, tags
from itemsapi.items.models import SORTS
from itemsapi.items.money import DECIMALS, scaled
from itemsapi.items.tokenizer import Term, search_terms
from itemsapi.problems import Invalid

LIMIT: Final = 200
MAX_QUERY_LENGTH: Final = 200  # characters of `q`
_TEXTS = ("q", "sku", "currency", "owner_id")
_PRICES = ("price_min", "price_max")
_MOMENTS = ("created_from", "created_to", "updated_from", "updated_to")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked of a list; all of it must hold.

    `sort` is one of `SORTS`, descending after a `-`. `tags` must all be there. Prices compare as
    numbers, in one currency if `currency` is given. A moment `_from` is in, one `_to` is out.
    Raises `Invalid`.
    """

    sort: str = "-created_at"
    limit: int = 50
    cursor: str | None = None
    q: str | None = None
    tags: tuple[str, ...] = ()
    sku: str | None = None
    owner_id: str | None = None
    currency: str | None = None
    price_min: str | None = None
    price_max: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    updated_from: datetime | None = None
    updated_to: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what no list can be made of."""
        faults = [*self._faults()]
        if faults:
            raise Invalid(errors=[{"field": name, "message": why} for name, why in faults])
        object.__setattr__(self, "tags", tags(self.tags))

    @property
    def column(self) -> str:
        """The field that the list is sorted by."""
        return self.sort.removeprefix("-")

    @property
    def terms(self) -> list[Term] | None:
        """The words that are looked for; nothing if none are."""
        return search_terms(self.q) if self.q and not self.q.isspace() else None

    def bounds(self) -> dict[str, Any]:
        """Return the filters on columns that are set, with the values the columns compare with."""
        exact: dict[str, Any] = {"sku": self.sku, "currency": self.currency}
        for name in _PRICES:
            price = getattr(self, name)
            exact[name] = None if price is None else scaled(price, name)
        for name in _MOMENTS:
            exact[name] = getattr(self, name)
        return {name: value for name, value in exact.items() if value is not None}

    def _faults(self) -> Iterator[tuple[str, str]]:
        if self.column not in SORTS:
            yield "sort", f"must be one of {', '.join(SORTS)}, with - before it for descending"
        if not 1 <= self.limit <= LIMIT:
            yield "limit", f"must be from 1 to {LIMIT}"
        if self.q and len(self.q) > MAX_QUERY_LENGTH:
            yield "q", f"must be at most {MAX_QUERY_LENGTH} characters long"
        if self.currency is not None and self.currency not in DECIMALS:
            yield "currency", "no currency of ISO 4217"
        for name in (name for name in _TEXTS if not storable(getattr(self, name) or "")):
            yield name, "must not hold NUL or half a surrogate pair"
        for name in (name for name in _MOMENTS if not _within(getattr(self, name))):
            yield name, "must be a moment with a time zone, in the years 1 to 9999 of UTC"


def _within(moment: datetime | None) -> bool:
    try:
        return moment is None or (moment.tzinfo is not None and bool(moment.astimezone(UTC)))
    except OverflowError:
        return False
