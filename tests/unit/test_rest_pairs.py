"""Query strings and forms."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.problems import BadRequest
from itemsapi.rest.request import read


@given(st.binary(max_size=200))
def test_reader_raises_only_bad_request_when_bytes_are_arbitrary(raw: bytes) -> None:
    """S-014: no query string causes another exception."""
    with suppress(BadRequest):
        assert all(values for values in read(raw).values())


def test_values_keep_their_order_when_a_name_is_repeated() -> None:
    """S-157: all values are returned; the parser of `arguments` rejects repeated names."""
    assert read(b"a=1&b=%C3%A9&a=+2&c=") == {"a": ["1", " 2"], "b": ["é"], "c": [""]}


@pytest.mark.parametrize(
    "raw",
    [b"a=%ff", b"\xc3\xa9=1", b"a=%ed%a0%80", b"a=%00", b"%00=a", b"a=1&" * 101],
)
def test_pairs_are_rejected_when_malformed_or_too_many(raw: bytes) -> None:
    """S-101, S-156: UTF-8 without NUL, and at most 100 pairs."""
    with pytest.raises(BadRequest):
        read(raw)
