"""Paging: a cursor says after which item the next page starts, and fits one list alone.

It is the strict JSON of `[list, value, id]` in base64url: a digest of the sort, the filters and
the owner, then the sorted value and the id of the last item seen. What it holds the reader has
read before, so it need not be secret; what comes back is checked as any other input.
"""

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from itemsapi.items.draft import storable
from itemsapi.items.models import ItemRecord
from itemsapi.problems import Invalid

Value = str | int | datetime
MAX_CURSOR_LENGTH: Final = 1800  # characters; a name of 200 makes at most some 1,700
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_FORM = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of items, and the cursor of the next page if there is one."""

    items: list[ItemRecord]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class CursorPosition:
    """The place in a list after which a page starts."""

    value: Value
    id: str


def fingerprint(*parts: object) -> str:
    """Return a digest of what makes a list the list it is."""
    return blake2b(repr(parts).encode(errors="backslashreplace"), digest_size=9).hexdigest()


def encode_cursor(of: str, place: CursorPosition) -> str:
    """Write the cursor of the list with this fingerprint."""
    value = place.value
    if isinstance(value, datetime):
        value = (value - _EPOCH) // _TICK
    text = json.dumps([of, value, place.id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(of: str, text: str, kind: type[Value]) -> CursorPosition:
    """Read a cursor of the list with this fingerprint, whose values are of `kind`.

    Raises `Invalid` for whatever `cursor` has not written for this very list.
    """
    try:
        found = _read(text, kind)
        if encode_cursor(of, found) == text:
            return found
    except (ValueError, TypeError, RecursionError, OverflowError):
        pass
    message = "belongs to another list or is damaged; start again without it"
    raise Invalid(errors=[{"field": "cursor", "message": message}])


def _read(text: str, kind: type[Value]) -> CursorPosition:
    if _FORM.fullmatch(text) is None:
        raise ValueError
    value: Value
    _, value, item_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if kind is datetime and isinstance(value, int):
        value = _EPOCH + value * _TICK
    if type(value) is not kind or type(item_id) is not str:
        raise TypeError
    if not storable(f"{value}{item_id}") or (isinstance(value, int) and not 0 <= value < 2**63):
        raise ValueError
    return CursorPosition(value, item_id)
