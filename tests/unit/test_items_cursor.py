"""Cursors: what was handed out is read back, anything else is refused."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from itemsapi.items.cursor import (
    CursorPosition,
    SortValue,
    decode_cursor,
    encode_cursor,
    fingerprint,
)
from itemsapi.problems import ValidationFailed

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
MOMENTS = st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1))  # noqa: DTZ001
LIST = fingerprint("name")


def sealed(*parts: object) -> str:
    """Return a cursor that holds these parts."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode(errors="surrogatepass")).decode().rstrip("=")


@given(st.one_of(TEXTS, MOMENTS, st.integers(0, 2**63 - 1)))
@example("\U0001f600" * 200)  # the longest name there can be
def test_a_place_is_read_back(value: SortValue) -> None:
    """Whatever an item may hold, its cursor is good and short enough."""
    text = encode_cursor(LIST, CursorPosition(value, "id"))
    assert decode_cursor(LIST, text, type(value)) == CursorPosition(value, "id")
    assert len(text) <= 1800


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True)))
def test_a_cursor_is_refused_when_it_is_made_up(text: str) -> None:
    """S-014: no input gives anything but a refusal."""
    with pytest.raises(ValidationFailed):
        decode_cursor(LIST, text, str)


@pytest.mark.parametrize(
    "text",
    [
        sealed("another list", "x", "id"),
        sealed(LIST, 1, "id"),
        sealed(LIST, "x", 1),
        sealed(LIST, "a\0b", "id"),
        sealed(LIST, "x", "a\0b"),
        sealed(LIST, "x"),
        sealed(LIST, "x", "id", "more"),
        sealed(LIST, "x", "id") + "=",
        base64.urlsafe_b64encode(f'["{LIST}","\\ud800","id"]'.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(f'["{LIST}", "x", "id"]'.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(b"[" * 1_300).decode().rstrip("="),
        "A" * 1801,
    ],
)
def test_a_cursor_is_refused_when_it_was_not_written_for_this_list(text: str) -> None:
    """S-014: other lists, other types, other spellings, and what no database takes."""
    with pytest.raises(ValidationFailed):
        decode_cursor(LIST, text, str)


@pytest.mark.parametrize("value", [-1, 2**63, 10**400, True, 1.0, None, [], "1"])
def test_a_number_in_a_cursor_is_refused_when_no_column_holds_it(value: object) -> None:
    """S-014: what overflows 64 bit never reaches a database."""
    with pytest.raises(ValidationFailed):
        decode_cursor(LIST, sealed(LIST, value, "id"), int)


@pytest.mark.parametrize("value", [10**18, -(10**18), True, 1.5, "2026-01-01"])
def test_a_moment_in_a_cursor_is_refused_when_there_is_no_such_moment(value: object) -> None:
    """S-014: nor does what no calendar holds."""
    with pytest.raises(ValidationFailed):
        decode_cursor(LIST, sealed(LIST, value, "id"), datetime)
