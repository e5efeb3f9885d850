"""Scope strings: compared whole, as they stand, parted by single spaces (S-085)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.tokens.scopes import BUILTIN_SCOPES, Scope, format_scopes, parse_scopes

NAME = st.from_regex(r"[a-z][a-z0-9_.-]{0,9}:[a-z][a-z0-9_.-]{0,9}", fullmatch=True)


@given(names=st.frozensets(NAME, max_size=10))
def test_what_is_joined_is_split_again(names: frozenset[str]) -> None:
    """A set and its string say the same."""
    assert parse_scopes(format_scopes(names)) == names


@given(text=st.text(max_size=40))
def test_any_text_is_scopes_or_refused(text: str) -> None:
    """There is no third, and nothing is trimmed or folded (RFC 6749 section 3.3)."""
    try:
        names = parse_scopes(text)
    except ValueError:
        return
    assert set(text.split(" ")) - {""} == names


@given(names=st.lists(NAME, min_size=1, max_size=3), at=st.integers(0, 60), odd=st.characters())
def test_an_odd_character_in_a_scope_string_is_refused_or_part_of_a_name(
    names: list[str], at: int, odd: str
) -> None:
    """Tabs, line breaks, no-break spaces, capitals and quotes part nothing (S-085)."""
    text = " ".join(names)
    spoilt = f"{text[:at]}{odd}{text[at:]}"
    if odd in "abcdefghijklmnopqrstuvwxyz0123456789_.-: ":
        return
    with pytest.raises(ValueError, match="scope"):
        parse_scopes(spoilt)


@pytest.mark.parametrize("text", [" ", "a:b ", " a:b", "a:b  c:d", "a:b,c:d", "a:b\tc:d", "a:b\n"])
def test_anything_but_single_spaces_is_refused(text: str) -> None:
    """One name, one space, one name (S-085)."""
    with pytest.raises(ValueError, match="scope"):
        parse_scopes(text)


def test_a_scope_string_has_a_longest_length() -> None:
    """Longer ones are refused, however well-formed (S-101)."""
    assert len(format_scopes(f"a:b{at}" for at in range(200))) < 2000
    with pytest.raises(ValueError, match="scope"):
        parse_scopes("a:b " * 600 + "a:b")


@pytest.mark.parametrize(
    "name",
    ["", "items", "Items:read", "items:", ":read", "items:read ", "items read", 'i:"', "é:x"],
)
def test_a_name_that_could_not_stand_in_a_challenge_is_refused(name: str) -> None:
    """`resource:action`, in lower case ASCII (S-010)."""
    with pytest.raises(ValueError, match="resource:action"):
        Scope(name, "A test")


def test_scopes_that_come_along_say_what_they_let_you_do() -> None:
    """Each once, each with words for people."""
    assert len({scope.name for scope in BUILTIN_SCOPES}) == len(BUILTIN_SCOPES)
    assert all(len(scope.description) > 10 for scope in BUILTIN_SCOPES)
