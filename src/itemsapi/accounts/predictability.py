"""Predictability: count the characters of a password that an attacker cannot predict.

NIST SP 800-63B section 5.1.1.2 names dictionary words and repetitive or sequential characters. The
text is read from left to right, each time the longest of these:

    a run       three characters or more that are equal, go one step up or down each time
                (`4321`, `efgh`), or are neighbours on a keyboard (`qwerty`, `1qaz`)
    a repeat    two characters or more that occurred before: `is` in `thisis`
    a word      one of the common passwords, with or without the digits around it

A run, a repeat or a top password counts as one character. Any other word counts as two: one of
some 10,000 is worth 13 bits, almost as much as three random letters. Every other character counts
as one. The work grows with the length, which is bounded; no regular expression can backtrack.
"""

import functools
from collections.abc import Iterable, Mapping
from importlib.resources import files
from itertools import pairwise, takewhile

MIN_RUN_LENGTH = 3  # characters; two neighbours occur by chance
MAX_STEP = 1  # from a letter to the next
MIN_REPEAT_LENGTH = 2
MIN_WORD_LENGTH = 4  # characters of a common password without its digits
TOP_PASSWORDS = {"admin", "changeme", "letmein", "login", "password", "secret", "welcome"}
PREFIX_LENGTH = 4  # characters by which a word is looked up; all words have as many

# English, German, French and Russian rows; English columns and zigzags; in both directions.
_ROWS = (
    "1234567890 qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm azertyuiop qsdfghjklm wxcvbn"
    " йцукенгшщзхъ фывапролджэ ячсмитьбю"
    " 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p qazwsxedcrfvtgbyhnujm"
    " 1q2w3e4r5t6y7u8i9o0p q1w2e3r4t5y6u7i8o9p0"
)
KEYBOARD_SEQUENCES = f"{_ROWS} {_ROWS[::-1]}"


def unpredictable_length(text: str, *, enough: int) -> int:
    """Count the characters of a text in lower case as described above; stop at `enough`."""
    position, count = 0, 0
    while position < len(text) and count < enough:
        pattern = max(1, _run_length(text, position), _repeat_length(text, position))
        word = _word_length(text, position)
        is_one = word <= pattern or text[position : position + word] in TOP_PASSWORDS
        count += 1 if is_one else 2
        position += max(pattern, word)
    return count


@functools.cache
def common_passwords() -> frozenset[str]:
    """Return the common passwords of eight characters or more, in lower case; cached."""
    text = files("itemsapi.accounts").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split("\n")) - {""}


def _run_length(text: str, position: int) -> int:
    length = max(_step_run_length(text, position), _keyboard_run_length(text, position))
    return length if length >= MIN_RUN_LENGTH else 0


def _step_run_length(text: str, position: int) -> int:
    """Count the characters from here on that are equal or go one step up or down each time."""
    steps = (ord(after) - ord(before) for before, after in pairwise(text[position:]))
    first = next(steps, MAX_STEP + 1)
    if abs(first) > MAX_STEP:
        return 1
    return 2 + sum(1 for _ in takewhile(first.__eq__, steps))


def _keyboard_run_length(text: str, position: int) -> int:
    """Count the characters from here on that are neighbours on a keyboard."""
    length = 1
    while (
        position + length <= len(text) and text[position : position + length] in KEYBOARD_SEQUENCES
    ):
        length += 1
    return length - 1


def _repeat_length(text: str, position: int) -> int:
    previous, length = text[:position], MIN_REPEAT_LENGTH
    while position + length <= len(text) and text[position : position + length] in previous:
        length += 1
    return length - 1 if length > MIN_REPEAT_LENGTH else 0


def _word_length(text: str, position: int) -> int:
    lengths = _words_by_prefix().get(text[position : position + PREFIX_LENGTH], {})
    return next((n for n, words in lengths.items() if text[position : position + n] in words), 0)


@functools.cache
def _words_by_prefix() -> Mapping[str, Mapping[int, frozenset[str]]]:
    """Return the words by prefix and by length, the longest first; cached."""
    bare = (word.strip("0123456789!.?*#$@-_ ") for word in common_passwords())
    by_prefix: dict[str, set[str]] = {}
    for word in {*common_passwords(), *(word for word in bare if len(word) >= MIN_WORD_LENGTH)}:
        by_prefix.setdefault(word[:PREFIX_LENGTH], set()).add(word)
    return {prefix: _by_length(words) for prefix, words in by_prefix.items()}


def _by_length(all_words: Iterable[str]) -> Mapping[int, frozenset[str]]:
    lengths: dict[int, set[str]] = {}
    for word in sorted(all_words, key=len, reverse=True):
        lengths.setdefault(len(word), set()).add(word)
    return {length: frozenset(words) for length, words in lengths.items()}
