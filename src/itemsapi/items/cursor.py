"""Pagination cursors: a cursor says after which item the next page starts, for one list only.

A cursor is the strict JSON array `[list, value, id]` in base64url: a digest of the sort order, the
filters and the owner, then the sort value and the id of the last item on the page. The client has
already read these values, so a cursor need not be secret; it is validated like any other input.
"""

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from itemsapi.items.draft import is_storable
from itemsapi.items.models import ItemRecord
from itemsapi.problems import ValidationFailed

SortValue = str | int | datetime
MAX_CURSOR_LENGTH: Final = 1800  # characters; a name of 200 characters gives some 1,700 at most
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR_PATTERN = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of items, and the cursor of the next page if there is one."""

    items: list[ItemRecord]
    next_cursor: str | None


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
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


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
    _, value, item_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if value_type is datetime and isinstance(value, int):
        value = _EPOCH + value * _MICROSECOND
    if type(value) is not value_type or type(item_id) is not str:
        raise TypeError
    if not is_storable(f"{value}{item_id}") or (isinstance(value, int) and not 0 <= value < 2**63):
        raise ValueError
    return CursorPosition(value, item_id)
