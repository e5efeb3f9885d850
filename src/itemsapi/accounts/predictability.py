"""What is predictable in a password: what a guesser says in one word counts as hardly a character.

NIST SP 800-63B section 5.1.1.2 names dictionary words and repetitive or sequential characters. The
text is read from left to right, each time the longest of these:

    a run       three characters or more that are all alike, go one step up or down each time
                (`4321`, `efgh`), or stand side by side on a keyboard (`qwerty`, `1qaz`)
    a repeat    two characters or more that stood there before: `is` in `thisis`
    a word      one of the common passwords, or what one is without the digits around it

Runs and repeats are one character, and so are the words that everybody tries first. Any other word
is two: one of some 20,000 is worth 14 bits, as much as three letters at random. What is none of
them is the one character that it is. The work grows with the length, and the length is
bounded; no pattern is matched that could go back and try again.
"""

import functools
from collections.abc import Iterable, Mapping
from importlib.resources import files
from itertools import pairwise, takewhile

RUN = 3  # characters; two neighbours stand side by side by chance
STEP = 1  # from a letter to the next
REPEAT = 2
WORD = 4  # letters that are left of a common password and tell anything
TRIED_FIRST = {"admin", "changeme", "letmein", "login", "password", "secret", "welcome"}
HEAD = 4  # characters by which a word is looked up; all are that long

# Rows as in English, German, French and Russian; columns and zigzags as in English; both ways.
_ROWS = (
    "1234567890 qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm azertyuiop qsdfghjklm wxcvbn"
    " йцукенгшщзхъ фывапролджэ ячсмитьбю"
    " 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p qazwsxedcrfvtgbyhnujm"
    " 1q2w3e4r5t6y7u8i9o0p q1w2e3r4t5y6u7i8o9p0"
)
KEYBOARD = f"{_ROWS} {_ROWS[::-1]}"


def own_characters(text: str, *, enough: int) -> int:
    """Count the characters of a text in lower case, what is predictable as said above.

    Stops where there are `enough`.
    """
    place, found = 0, 0
    while place < len(text) and found < enough:
        other, word = max(1, _run(text, place), _repeat(text, place)), _word(text, place)
        known = word <= other or text[place : place + word] in TRIED_FIRST
        found += 1 if known else 2
        place += max(other, word)
    return found


@functools.cache
def common_passwords() -> frozenset[str]:
    """Return the common passwords of eight characters or more, in lower case; read once."""
    text = files("itemsapi.accounts").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split("\n")) - {""}


def _run(text: str, place: int) -> int:
    length = max(_steps(text, place), _keys(text, place))
    return length if length >= RUN else 0


def _steps(text: str, place: int) -> int:
    """Count the characters from here on that go up, go down or stay, one step each time."""
    steps = (ord(after) - ord(before) for before, after in pairwise(text[place:]))
    first = next(steps, STEP + 1)
    if abs(first) > STEP:
        return 1
    return 2 + sum(1 for _ in takewhile(first.__eq__, steps))


def _keys(text: str, place: int) -> int:
    """Count the characters from here on that stand side by side on a keyboard."""
    length = 1
    while place + length <= len(text) and text[place : place + length] in KEYBOARD:
        length += 1
    return length - 1


def _repeat(text: str, place: int) -> int:
    before, length = text[:place], REPEAT
    while place + length <= len(text) and text[place : place + length] in before:
        length += 1
    return length - 1 if length > REPEAT else 0


def _word(text: str, place: int) -> int:
    lengths = _words().get(text[place : place + HEAD], {})
    return next((n for n, words in lengths.items() if text[place : place + n] in words), 0)


@functools.cache
def _words() -> Mapping[str, Mapping[int, frozenset[str]]]:
    """Return the words by how they begin and how long they are, the longest first; made once."""
    bare = (word.strip("0123456789!.?*#$@-_ ") for word in common_passwords())
    heads: dict[str, set[str]] = {}
    for word in {*common_passwords(), *(word for word in bare if len(word) >= WORD)}:
        heads.setdefault(word[:HEAD], set()).add(word)
    return {head: _by_length(words) for head, words in heads.items()}


def _by_length(words: Iterable[str]) -> Mapping[int, frozenset[str]]:
    lengths: dict[int, set[str]] = {}
    for word in sorted(words, key=len, reverse=True):
        lengths.setdefault(len(word), set()).add(word)
    return {length: frozenset(found) for length, found in lengths.items()}
