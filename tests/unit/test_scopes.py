"""Scope strings: compared exactly, separated by single spaces (S-085)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.tokens.scopes import BUILTIN_SCOPES, Scope, format_scopes, parse_scopes

NAME = st.from_regex(r"[a-z][a-z0-9_.-]{0,9}:[a-z][a-z0-9_.-]{0,9}", fullmatch=True)


@given(names=st.frozensets(NAME, max_size=10))
def test_parsing_reverses_formatting(names: frozenset[str]) -> None:
    """A set and its string have the same scopes."""
    assert parse_scopes(format_scopes(names)) == names


@given(text=st.text(max_size=40))
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    """Nothing is trimmed or normalized (RFC 6749 section 3.3)."""
    try:
        names = parse_scopes(text)
    except ValueError:
        return
    assert set(text.split(" ")) - {""} == names


@given(names=st.lists(NAME, min_size=1, max_size=3), at=st.integers(0, 60), odd=st.characters())
def test_a_scope_string_is_rejected_when_it_has_another_character(
    names: list[str], at: int, odd: str
) -> None:
    """Tabs, line breaks, no-break spaces, capitals and quotes are no separators (S-085)."""
    text = " ".join(names)
    spoilt = f"{text[:at]}{odd}{text[at:]}"
    if odd in "abcdefghijklmnopqrstuvwxyz0123456789_.-: ":
        return
    with pytest.raises(ValueError, match="scope"):
        parse_scopes(spoilt)


@pytest.mark.parametrize("text", [" ", "a:b ", " a:b", "a:b  c:d", "a:b,c:d", "a:b\tc:d", "a:b\n"])
def test_a_scope_string_is_rejected_when_it_has_other_separators(text: str) -> None:
    """One name, one space, one name (S-085)."""
    with pytest.raises(ValueError, match="scope"):
        parse_scopes(text)


def test_a_scope_string_is_rejected_when_it_is_too_long() -> None:
    """However well-formed (S-101)."""
    assert len(format_scopes(f"a:b{at}" for at in range(200))) < 2000
    with pytest.raises(ValueError, match="scope"):
        parse_scopes("a:b " * 600 + "a:b")


@pytest.mark.parametrize(
    "name",
    ["", "items", "Items:read", "items:", ":read", "items:read ", "items read", 'i:"', "é:x"],
)
def test_a_scope_name_is_rejected_when_it_is_malformed(name: str) -> None:
    """`resource:action`, in lower case ASCII (S-010)."""
    with pytest.raises(ValueError, match="resource:action"):
        Scope(name, "A test")


def test_builtin_scopes_have_a_description() -> None:
    """And each name exists once."""
    assert len({scope.name for scope in BUILTIN_SCOPES}) == len(BUILTIN_SCOPES)
    assert all(len(scope.description) > 10 for scope in BUILTIN_SCOPES)
