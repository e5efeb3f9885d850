"""Queries: which items a list contains and in which order, validated before they are executed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from itemsapi.items.draft import is_storable, normalize_tags
from itemsapi.items.models import SORT_FIELDS
from itemsapi.items.money import CURRENCY_DECIMALS, parse_amount
from itemsapi.items.tokenizer import Term, search_terms
from itemsapi.problems import ValidationFailed

MAX_LIMIT: Final = 200
MAX_QUERY_LENGTH: Final = 200  # characters of `q`
_TEXT_FIELDS = ("q", "sku", "currency", "owner_id")
_PRICE_FIELDS = ("price_min", "price_max")
_TIME_FIELDS = ("created_from", "created_to", "updated_from", "updated_to")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemListQuery:
    """The filters, sort order and position of a page. An item must match all filters.

    `sort` is one of `SORT_FIELDS`, descending after a `-`. An item must have all `tags`. Prices
    compare as numbers, in one currency if `currency` is given. A time `_from` is inclusive, a time
    `_to` is exclusive. Raise `ValidationFailed`.
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
        """Validate the fields and normalise the tags."""
        errors = [{"field": name, "message": message} for name, message in self._errors()]
        if errors:
            raise ValidationFailed(errors=errors)
        object.__setattr__(self, "tags", normalize_tags(self.tags))

    @property
    def sort_field(self) -> str:
        """The field that the list is sorted by."""
        return self.sort.removeprefix("-")

    @property
    def terms(self) -> list[Term] | None:
        """The terms of the text search; None without one, empty if it contains no word."""
        return search_terms(self.q) if self.q and not self.q.isspace() else None

    def column_filters(self) -> dict[str, Any]:
        """Return the column filters that are set, with the values to compare the columns with."""
        filters: dict[str, Any] = {"sku": self.sku, "currency": self.currency}
        for name in _PRICE_FIELDS:
            price = getattr(self, name)
            filters[name] = None if price is None else parse_amount(price, name)
        for name in _TIME_FIELDS:
            filters[name] = getattr(self, name)
        return {name: value for name, value in filters.items() if value is not None}

    def _errors(self) -> Iterator[tuple[str, str]]:
        if self.sort_field not in SORT_FIELDS:
            yield (
                "sort",
                f"must be one of {', '.join(SORT_FIELDS)}, with - before it for descending",
            )
        if not 1 <= self.limit <= MAX_LIMIT:
            yield "limit", f"must be from 1 to {MAX_LIMIT}"
        if self.q and len(self.q) > MAX_QUERY_LENGTH:
            yield "q", f"must be at most {MAX_QUERY_LENGTH} characters long"
        if self.currency is not None and self.currency not in CURRENCY_DECIMALS:
            yield "currency", "is not a currency of ISO 4217"
        for name in (name for name in _TEXT_FIELDS if not is_storable(getattr(self, name) or "")):
            yield name, "must not contain NUL or an unpaired surrogate"
        for name in (name for name in _TIME_FIELDS if not _is_valid_time(getattr(self, name))):
            yield name, "must be a time with a time zone, in the years 1 to 9999 of UTC"


def _is_valid_time(time: datetime | None) -> bool:
    try:
        return time is None or (time.tzinfo is not None and bool(time.astimezone(UTC)))
    except OverflowError:
        return False
