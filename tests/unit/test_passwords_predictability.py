"""How many characters of a password count as unpredictable (S-041)."""

import pytest

from itemsapi.accounts import predictability
from itemsapi.accounts.predictability import unpredictable_length

ENOUGH = 99  # more than any text here has


@pytest.fixture(autouse=True)
def _words_read_anew() -> None:
    """Read the list of words in each test, so that each depends on how it is read."""
    predictability.common_passwords.cache_clear()
    predictability._words_by_prefix.cache_clear()  # noqa: SLF001 - it keeps the words that were read


@pytest.mark.parametrize("text", ["aaa", "abc", "cba", "efghijklm", "876543"])
def test_equal_or_consecutive_characters_count_as_one(text: str) -> None:
    """`MIN_RUN_LENGTH`: three are a run already, up or down (S-041)."""
    assert unpredictable_length(text, enough=ENOUGH) == 1


@pytest.mark.parametrize("text", ["ab", "zz", "hf", "7x"])
def test_two_characters_are_no_run(text: str) -> None:
    """Two neighbours occur by chance (S-041)."""
    assert unpredictable_length(text, enough=ENOUGH) == 2


@pytest.mark.parametrize("text", ["acegik", "zxvtrp", "147"])
def test_characters_with_gaps_are_no_run(text: str) -> None:
    """`MAX_STEP`: a run goes one step each time (S-041)."""
    assert unpredictable_length(text, enough=ENOUGH) == len(text)


def test_a_run_ends_where_its_step_changes() -> None:
    """`abcba` is a run of three and two more characters (S-041)."""
    assert unpredictable_length("fghgf", enough=ENOUGH) == 3


@pytest.mark.parametrize("text", ["sdf", "fds", "poiuy", "wxcvbn", "1qaz", "edcrfv"])
def test_neighbours_on_a_keyboard_count_as_one(text: str) -> None:
    """`KEYBOARD_SEQUENCES`: in both directions, up to the end of the password (S-041)."""
    assert unpredictable_length(text, enough=ENOUGH) == 1


@pytest.mark.parametrize(("text", "count"), [("xk7qxk", 5), ("xk7qxk7q", 5), ("xk7qk7x", 6)])
def test_a_repeat_of_two_characters_or_more_counts_as_one(text: str, count: int) -> None:
    """`MIN_REPEAT_LENGTH`: wherever they occurred before (S-041)."""
    assert unpredictable_length(text, enough=ENOUGH) == count


def test_a_single_character_that_occurred_before_counts() -> None:
    """It occurs by chance (S-041)."""
    assert unpredictable_length("x7kx", enough=ENOUGH) == 4


@pytest.mark.parametrize("text", ["love", "annie", "basketball", "accountant"])
def test_a_common_word_counts_as_two(text: str) -> None:
    """`MIN_WORD_LENGTH`: the longest one, of four letters or more (S-041)."""
    assert unpredictable_length(text, enough=ENOUGH) == 2


def test_a_short_common_word_is_found_inside_of_a_password() -> None:
    """`PREFIX_LENGTH`: wherever it begins and ends (S-041)."""
    assert unpredictable_length("#love#", enough=ENOUGH) == 4


@pytest.mark.parametrize("text", ["password", "secret", "letmein", "changeme"])
def test_a_top_password_counts_as_one(text: str) -> None:
    """It is tried first (S-041)."""
    assert unpredictable_length(text, enough=ENOUGH) == 1


def test_a_common_word_that_is_a_run_counts_as_one() -> None:
    """Such as a row of the keyboard (S-041)."""
    assert unpredictable_length("qwertyuiop", enough=ENOUGH) == 1


@pytest.mark.parametrize("enough", [0, 1, 5])
def test_the_count_stops_at_enough(enough: int) -> None:
    """The work is bounded (S-041)."""
    assert unpredictable_length("zqxjkvwm", enough=enough) == enough
