"""Queries: which items a list contains, in which order and from which cursor, all validated."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import orjson

from itemsapi.items.models import SORT_FIELDS, is_storable, normalize_tags
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
        """Return the column filters that are set, with the values to compare the columns with.

        Raise `ValidationFailed` if a price is invalid.
        """
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


# Pagination cursors: a cursor says after which item the next page starts, for one list only.
#
# A cursor is the strict JSON array `[list, value, id]` in base64url: a digest of the sort order,
# the filters and the owner, then the sort value and the id of the last item on the page. The client
# has already read these values, so a cursor need not be secret; it is validated like any other
# input.

SortValue = str | int | datetime
MAX_CURSOR_LENGTH: Final = 1800  # characters; a name of 200 characters gives some 1,700 at most
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR_PATTERN = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class CursorPosition:
    """The position in a list after which a page starts."""

    value: SortValue
    id: str


def fingerprint(*parts: object) -> str:
    """Return a digest of everything that identifies a list."""
    return blake2b(repr(parts).encode(errors="backslashreplace"), digest_size=9).hexdigest()


def encode_cursor(list_fingerprint: str, position: CursorPosition) -> str:
    """Return the cursor for a position in the list with this fingerprint."""
    value = position.value
    if isinstance(value, datetime):
        value = (value - _EPOCH) // _MICROSECOND
    parts = [list_fingerprint, value, position.id]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


def decode_cursor(list_fingerprint: str, text: str, value_type: type[SortValue]) -> CursorPosition:
    """Return the position in a cursor of the list with this fingerprint.

    Raise `ValidationFailed` unless `encode_cursor` made this text for this list, with a value of
    this type.
    """
    try:
        position = _parse(text, value_type)
        if encode_cursor(list_fingerprint, position) == text:
            return position
    except (ValueError, TypeError, RecursionError, OverflowError):
        pass
    message = "belongs to another list or is damaged; start again without it"
    raise ValidationFailed(errors=[{"field": "cursor", "message": message}])


def _parse(text: str, value_type: type[SortValue]) -> CursorPosition:
    if _CURSOR_PATTERN.fullmatch(text) is None:
        raise ValueError
    value: SortValue
    _, value, item_id = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if value_type is datetime and isinstance(value, int):
        value = _EPOCH + value * _MICROSECOND
    if type(value) is not value_type or type(item_id) is not str:
        raise TypeError
    if not is_storable(f"{value}{item_id}") or (isinstance(value, int) and not 0 <= value < 2**63):
        raise ValueError
    return CursorPosition(value, item_id)
