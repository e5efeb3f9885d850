"""The strict JSON reader."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.problems import BodyMalformed
from itemsapi.rest.json_provider import read

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_value_comes_back_when_it_is_plain_json(value: object, escaped: bool) -> None:
    """JSON of other programs is read correctly (RFC 8259)."""
    assert read(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary() | st.text('{}[]":,\\u0d8 1e-n').map(str.encode))
def test_reader_raises_only_body_malformed_when_bytes_are_arbitrary(body: bytes) -> None:
    """S-014: no input causes another exception."""
    with suppress(BodyMalformed):
        assert read(body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b"{",
        b"[1,]",
        b"{'a': 1}",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"01",
        b"1_0",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\x00"',
        b'["\\u0000"]',
        b'{"\\u0000": 1}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "\\u0061": 2}',
        b'[{"b": {"a": 1, "a": 1}}]',
        b"[" * 33 + b"]" * 33,
        b"1" * 101,
        b"[0." + b"1" * 100 + b"]",
        b"[" + b"0," * 10_000 + b"0,0]",
        b"[" + b"[]," * 10_000 + b"[]]",
        b"[" + b'"",' * 20_000 + b'""]',
        json.dumps({str(n): n for n in range(1001)}).encode(),
        b'"' + b"\\" * 1000,
    ],
)
def test_body_is_rejected_when_it_is_not_strict_json(body: bytes) -> None:
    """S-101, S-156, S-157, R-16, RFC 7493: limits, no ambiguity, and UTF-8 only."""
    with pytest.raises(BodyMalformed):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 32 + b"]" * 32,
        b"[" + b"[]," * 32 + b"[]]",
        b"0." + b"9" * 98,
        json.dumps({str(n): n for n in range(1000)}).encode(),
        b'{"a": "b: {[,", "c\\"d:": "\\\\"}',
        b'[{"a": 1}, {"a": 1}]',
        b'"\\\\u0000"',
        b'"' + b"1" * 1000 + b'"',
    ],
)
def test_body_is_read_when_it_only_looks_suspicious(body: bytes) -> None:
    """Limits ignore the content of strings."""
    assert read(body) == json.loads(body)
