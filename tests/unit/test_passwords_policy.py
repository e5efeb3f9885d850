"""What may become a password, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.accounts.password_policy import common_passwords, demand
from itemsapi.problems import Invalid

GOOD = "seven quiet geese cross the river"


def refusal(password: str, *, username: str = "ada", minimum: int = 15) -> str:
    """Return why a password is refused, or nothing."""
    try:
        demand(password, username=username, minimum=minimum)
    except Invalid as error:
        return error.detail.removeprefix("password: ")
    return ""


@pytest.mark.parametrize("length", [15, 64, 72, 73, 128, 256])
def test_any_length_up_to_256_is_taken(length: int) -> None:
    """Long ones are neither refused nor cut (S-040)."""
    assert refusal((GOOD * 9)[:length]) == ""


@pytest.mark.parametrize("length", [0, 1, 14])
def test_a_short_one_is_refused(length: int) -> None:
    """The minimum is that of the settings (S-040)."""
    assert refusal(GOOD[:length]).startswith("Use 15 characters or more")


@pytest.mark.parametrize("length", [257, 1_000_000])
def test_a_too_long_one_is_refused_not_cut(length: int) -> None:
    """256 characters at most (S-040)."""
    assert refusal("x y" * length).startswith("Use 256 characters at most")


def test_length_is_counted_in_composed_characters() -> None:
    """NFC: an e with an accent is one character however it was typed."""
    assert refusal("e\N{COMBINING ACUTE ACCENT}" * 14).startswith("Use 15 characters")


@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=15, max_size=40))
def test_any_composition_is_judged_without_a_crash(password: str) -> None:
    """Spaces, emoji and control characters are characters like others (S-040)."""
    assert isinstance(refusal(password), str)


@pytest.mark.parametrize(
    "password",
    ["ぴかぴかの一年生が富士山に登る朝", "        !        ?       ", "1" + "0" * 8 + "7391824"],
)
def test_no_kind_of_character_is_demanded(password: str) -> None:
    """No rules of composition (S-040)."""
    assert refusal(password) == ""


def test_every_common_password_is_refused() -> None:
    """All of the list, in any case, whatever the minimum (S-041, S-129)."""
    passed = [word for word in common_passwords() if not refusal(word.title(), minimum=8)]
    assert passed == []


@pytest.mark.parametrize("password", ["password1234567", "2024!sunshine!2024", "passwordpassword"])
def test_a_common_password_dressed_up_is_refused(password: str) -> None:
    """Digits around it or saying it twice make it no better (S-041)."""
    assert "others would try" in refusal(password)


def test_the_list_is_long_enough() -> None:
    """At least the first 3,000 that match the policy's shortest length (S-041)."""
    assert len(common_passwords()) > 3000


@pytest.mark.parametrize(
    "password",
    [
        "itemsapi-itemsapi",
        "ItemsAPI-20262026",
        "1t3msap1!1t3msap1",
        "ada.lovelace2026",
        "4d4.L0v3l4c3-2026",
        "lovelace@lovelace",
        "ada.lovelace@example",
    ],
)
def test_a_password_made_of_known_words_is_refused(password: str) -> None:
    """Product, user name and its local part, digits, signs and case aside (S-130)."""
    assert "user name" in refusal(password, username="ada.lovelace@example")


@pytest.mark.parametrize("username", ["al", "a", "0", "rose", "horse"])
def test_a_good_password_may_hold_the_user_name_by_chance(username: str) -> None:
    """Enough of it is left without the name (S-130)."""
    assert refusal("primrose horses on a metal hill", username=username) == ""


@pytest.mark.parametrize("username", ["1", "e5", "---", "o.o"])
def test_digits_are_no_name_by_chance(username: str) -> None:
    """Two letters of a name tell nothing (S-130)."""
    assert refusal("38475610 29384756 19", username=username) == ""
