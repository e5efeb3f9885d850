"""The form of an API key: random, recognizable, and checked without a query."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.tokens.api_keys import hash_api_key, is_well_formed, make_api_key

KEY = make_api_key()


def test_a_key_has_a_prefix_that_scanners_of_secrets_find() -> None:
    """S-163: letters and digits only, so that a double click selects it whole."""
    assert re.fullmatch("itk_[0-9A-Za-z]{49}", KEY)


def test_a_new_key_is_well_formed() -> None:
    """Whatever its random bits are."""
    assert all(is_well_formed(make_api_key()) for _ in range(500))


def test_keys_differ() -> None:
    """They are random."""
    assert len({make_api_key() for _ in range(500)}) == 500


@pytest.mark.parametrize(
    "text",
    ["", "itk_", KEY[:-1], KEY + "0", KEY[4:], KEY.upper(), f" {KEY}", f"{KEY}\n", KEY * 2],
    ids=["empty", "prefix", "short", "long", "bare", "upper", "space", "line", "twice"],
)
def test_a_text_of_another_form_is_not_well_formed(text: str) -> None:
    """S-163: empty, truncated, extended."""
    assert not is_well_formed(text)


@given(at=st.integers(4, len(KEY) - 1), letter=st.sampled_from("0Aaz9"))
def test_a_key_with_a_changed_character_is_not_well_formed(at: int, letter: str) -> None:
    """The checksum finds it without a query."""
    changed = KEY[:at] + letter + KEY[at + 1 :]
    assert is_well_formed(changed) == (changed == KEY)


def test_the_hash_is_the_sha_256_of_the_key() -> None:
    """NIST's vector for `abc` (FIPS 180-4)."""
    assert hash_api_key("abc").startswith("ba7816bf8f01cfea")
