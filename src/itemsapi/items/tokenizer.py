"""Words: what a text is looked up by, and what a query looks up; the same rules on both sides.

A text is normalised (NFKC, case folded), and cut at everything that is no letter, digit or mark.
Scripts written without spaces (Han, Kana, Hangul, Thai ...) are cut into a word for each character:
it and the two that follow, so "東京都庁" is 東京都, 京都庁, 都庁, 庁. A query for 東京都 is that
very word, one for 東京 or 東 the beginning of one, and a longer one several words, all of which
must be there. That finds any part of a Japanese text by an index of plain words, and needs no
positions, which SQLite and PostgreSQL keep differently (PostgreSQL forgets all but 255 a word).
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

GRAM = 3  # characters in a word of a script without spaces
MAX_TEXT_LENGTH = 60_000  # normalised characters: at 12 bytes a word below PostgreSQL's 1 MB
MAX_WORD_LENGTH = 64  # characters; what is longer is found by its first 64
MOST_TERMS = 40  # words of a query that count; each must be there, so more hardly narrow it

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u318f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_RUN = re.compile(f"([{_UNSPACED}]+)|[^{_UNSPACED} ]+")
_PIECE = re.compile("(?s).{1,256}[\u0300-\u036f\u1160-\u11ff\u3099\u309a]{0,30}")


class Term(NamedTuple):
    """A word that must be there; with `prefix`, one that begins so."""

    word: str
    prefix: bool


def tokenize(text: str) -> set[str]:
    """Return the words that a text can be found by."""
    found: set[str] = set()
    for run, unspaced in _runs(text):
        if unspaced:
            found.update(run[at : at + GRAM] for at in range(len(run)))
        else:
            found.add(run)
    return found


def search_terms(query: str) -> list[Term]:
    """Return what a query asks for, without doubles; nothing if it holds no word."""
    asked: dict[Term, None] = {}
    for run, unspaced in _runs(query):
        if unspaced and len(run) >= GRAM:
            grams = (run[at : at + GRAM] for at in range(len(run) - GRAM + 1))
            asked.update(dict.fromkeys(Term(gram, prefix=False) for gram in grams))
        else:
            asked[Term(run, prefix=True)] = None
    return list(asked)[:MOST_TERMS]


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each run of one kind, and whether its script is written without spaces."""
    for found in _RUN.finditer(folded(text)[:MAX_TEXT_LENGTH].translate(_Letters())):
        unspaced = found.group(1) is not None
        yield (found.group() if unspaced else found.group()[:MAX_WORD_LENGTH]), unspaced


def folded(text: str) -> str:
    """Return a text in its one spelling: NFKC, case folded.

    Piece by piece, for the time that `normalize` takes grows with the square of a run of marks.
    """
    once = "".join(unicodedata.normalize("NFKC", piece) for piece in _PIECE.findall(text))
    pieces = _PIECE.findall(once.casefold())
    return "".join(unicodedata.normalize("NFKC", piece) for piece in pieces)


class _Letters:
    """The table for `str.translate`: letters, digits and marks stay, the rest parts words."""

    def __getitem__(self, point: int) -> str | None:
        return _letter(point)


@lru_cache(maxsize=8192)
def _letter(point: int) -> str | None:
    """Return what stands for a character: itself, a gap, or nothing.

    A symbol (an emoji, say) is a word by itself. Joiners, soft hyphens and variation selectors
    vanish: they are there for the eye.
    """
    char = chr(point)
    kind = unicodedata.category(char)
    if kind == "Cf" or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        return None
    if kind == "So":
        return f" {char} "
    return char if kind[0] in "LNM" else " "
