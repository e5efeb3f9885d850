"""Which user names are acceptable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.accounts.models import normalize_username, validate_username
from itemsapi.problems import ValidationFailed


@pytest.mark.parametrize(
    ("username", "stored"),
    [
        ("Ada", "ada"),
        ("a", "a"),
        ("0x", "0x"),
        ("a.b_c-d+e@f.gh", "a.b_c-d+e@f.gh"),
        ("A" * 64, "a" * 64),
    ],
)
def test_a_name_is_stored_in_lower_case(username: str, stored: str) -> None:
    """There is one form of each name (S-158)."""
    assert validate_username(username) == stored


@pytest.mark.parametrize(
    "username",
    [
        "",
        " ada",
        "ada ",
        "a b",
        ".ada",
        "@ada",
        "a" * 65,
        "ada\n",
        "ada\0",
        "\u0430da",  # CYRILLIC SMALL LETTER A
        "ad\u0430@example.org",
        "\uff41da",  # FULLWIDTH LATIN SMALL LETTER A
        "ada\u200b",
        "ad\u00e0",
        "\u212a",  # KELVIN SIGN, which is a k in lower case
        "a\u0131",
        "../ada",
        "ada;--",
    ],
)
def test_a_name_with_other_characters_is_rejected(username: str) -> None:
    """Homoglyphs and compatibility forms are rejected, not folded (S-158, GHSA-7rqj-j65f-68wh)."""
    with pytest.raises(ValidationFailed):
        validate_username(username)


@given(st.text(max_size=70))
def test_a_stored_name_is_its_own_normal_form(username: str) -> None:
    """In ASCII, so that no two names look alike (S-158)."""
    try:
        name = validate_username(username)
    except ValidationFailed:
        return
    assert name.isascii()
    assert normalize_username(name) == validate_username(name) == name
