"""Cursors: an encoded cursor is decoded again, anything else is rejected."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from itemsapi.items.query import (
    CursorPosition,
    SortValue,
    decode_cursor,
    encode_cursor,
    fingerprint,
)
from itemsapi.problems import ValidationFailed

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
TIMES = st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1))  # noqa: DTZ001
LIST = fingerprint("name")


def encode(*parts: object) -> str:
    """Return a cursor with these parts."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode(errors="surrogatepass")).decode().rstrip("=")


@given(st.one_of(TEXTS, TIMES, st.integers(0, 2**63 - 1)))
@example("\U0001f600" * 200)  # the longest name there can be
def test_a_position_survives_encoding_and_decoding(value: SortValue) -> None:
    """The cursor of any storable value is valid and short enough."""
    text = encode_cursor(LIST, CursorPosition(value, "id"))
    assert decode_cursor(LIST, text, type(value)) == CursorPosition(value, "id")
    assert len(text) <= 1800


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("Lamp", "Lamp"),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC), 1_000_005),
    ],
)
def test_a_cursor_contains_the_sort_value(value: SortValue, encoded: object) -> None:
    """A time as microseconds since 1970, so that a cursor is valid in every process."""
    text = encode_cursor(LIST, CursorPosition(value, "id"))
    assert text == encode(LIST, encoded, "id")
    assert decode_cursor(LIST, text, type(value)) == CursorPosition(value, "id")


def test_a_cursor_of_the_maximum_length_is_decoded_and_no_longer_one() -> None:
    """S-101: 1800 characters (`MAX_CURSOR_LENGTH`)."""
    room = 1800 * 3 // 4 - len(f'["{LIST}","","id"]')
    longest, longer = (encode(LIST, "x" * (room + more), "id") for more in (0, 1))
    assert (len(longest), len(longer)) == (1800, 1802)
    assert decode_cursor(LIST, longest, str).id == "id"
    with pytest.raises(ValidationFailed):
        decode_cursor(LIST, longer, str)


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True)))
def test_a_cursor_is_rejected_when_it_is_invented(text: str) -> None:
    """S-014: arbitrary input raises `ValidationFailed` and nothing else."""
    with pytest.raises(ValidationFailed):
        decode_cursor(LIST, text, str)


@pytest.mark.parametrize(
    "text",
    [
        encode("another list", "x", "id"),
        encode(LIST, 1, "id"),
        encode(LIST, "x", 1),
        encode(LIST, "a\0b", "id"),
        encode(LIST, "x", "a\0b"),
        encode(LIST, "x"),
        encode(LIST, "x", "id", "more"),
        encode(LIST, "x", "id") + "=",
        base64.urlsafe_b64encode(f'["{LIST}","\\ud800","id"]'.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(f'["{LIST}", "x", "id"]'.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(b"[" * 1_300).decode().rstrip("="),
        "A" * 1801,
    ],
)
def test_a_cursor_is_rejected_when_it_was_not_made_for_this_list(text: str) -> None:
    """S-014: other lists, types and spellings, and values that no database stores."""
    with pytest.raises(ValidationFailed):
        decode_cursor(LIST, text, str)


@pytest.mark.parametrize("value", [-1, 2**63, 10**400, True, 1.0, None, [], "1"])
def test_a_number_in_a_cursor_is_rejected_when_no_column_can_store_it(value: object) -> None:
    """S-014: a number beyond 64 bit never reaches a database."""
    with pytest.raises(ValidationFailed):
        decode_cursor(LIST, encode(LIST, value, "id"), int)


@pytest.mark.parametrize("value", [10**18, -(10**18), True, 1.5, "2026-01-01"])
def test_a_time_in_a_cursor_is_rejected_when_it_is_invalid(value: object) -> None:
    """S-014: a time beyond the calendar never reaches a database."""
    with pytest.raises(ValidationFailed):
        decode_cursor(LIST, encode(LIST, value, "id"), datetime)
