"""Which user names there may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.accounts.usernames import normalize_username, validate_username
from itemsapi.problems import ValidationFailed


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [
        ("Ada", "ada"),
        ("a", "a"),
        ("0x", "0x"),
        ("a.b_c-d+e@f.gh", "a.b_c-d+e@f.gh"),
        ("A" * 64, "a" * 64),
    ],
)
def test_a_name_is_stored_in_lower_case(wanted: str, stored: str) -> None:
    """One spelling each (S-158)."""
    assert validate_username(wanted) == stored


@pytest.mark.parametrize(
    "wanted",
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
def test_another_spelling_is_refused(wanted: str) -> None:
    """Homoglyphs and compatibility forms are refused, not folded (S-158, GHSA-7rqj-j65f-68wh)."""
    with pytest.raises(ValidationFailed):
        validate_username(wanted)


@given(st.text(max_size=70))
def test_no_two_normal_names_look_alike(wanted: str) -> None:
    """What is stored is its own normal form, in ASCII (S-158)."""
    try:
        name = validate_username(wanted)
    except ValidationFailed:
        return
    assert name.isascii()
    assert normalize_username(name) == validate_username(name) == name
