"""The tokenizer: cuts texts into words for the index, and queries into terms by the same rules.

A text is normalised (NFKC, case folded) and split at everything that is no letter, digit or mark.
Scripts written without spaces (Han, Kana, Hangul, Thai ...) give one word for each character: the
character and the two that follow it, so "東京都庁" becomes 東京都, 京都庁, 都庁, 庁. A query for
東京都 is that very word, a query for 東京 or 東 is a prefix, and a longer query is several words,
all of which must match. So an index of plain words finds any part of a Japanese text. It needs no
positions, which SQLite and PostgreSQL store differently (PostgreSQL keeps 255 for each word).
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

NGRAM_LENGTH = 3  # characters in a word of a script without spaces
MAX_TEXT_LENGTH = 60_000  # normalised characters: at 12 bytes a word below PostgreSQL's 1 MB
MAX_WORD_LENGTH = 64  # characters; a longer word is found by its first 64
MAX_TERMS = 40  # terms of a query that count; all must match, so more hardly narrow the result

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u318f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_RUN = re.compile(f"([{_UNSPACED}]+)|[^{_UNSPACED} ]+")
_PIECE = re.compile("(?s).{1,256}[\u0300-\u036f\u1160-\u11ff\u3099\u309a]{0,30}")


class Term(NamedTuple):
    """A word that must be in the text; with `prefix`, the beginning of one."""

    word: str
    prefix: bool


def tokenize(text: str) -> set[str]:
    """Return the words that a text is found by."""
    words: set[str] = set()
    for run, unspaced in _runs(text):
        if unspaced:
            words.update(run[start : start + NGRAM_LENGTH] for start in range(len(run)))
        else:
            words.add(run)
    return words


def search_terms(query: str) -> list[Term]:
    """Return the terms of a query without duplicates; an empty list if it contains no word."""
    terms: dict[Term, None] = {}
    for run, unspaced in _runs(query):
        if unspaced and len(run) >= NGRAM_LENGTH:
            starts = range(len(run) - NGRAM_LENGTH + 1)
            ngrams = (run[start : start + NGRAM_LENGTH] for start in starts)
            terms.update(dict.fromkeys(Term(ngram, prefix=False) for ngram in ngrams))
        else:
            terms[Term(run, prefix=True)] = None
    return list(terms)[:MAX_TERMS]


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each run of letters, and whether its script is written without spaces."""
    separated = normalize_text(text)[:MAX_TEXT_LENGTH].translate(_WordCharacters())
    for match in _RUN.finditer(separated):
        unspaced = match.group(1) is not None
        yield (match.group() if unspaced else match.group()[:MAX_WORD_LENGTH]), unspaced


def normalize_text(text: str) -> str:
    """Return a text in its one spelling: NFKC, case folded.

    The text is normalised in pieces, because the time that `normalize` takes grows with the square
    of the length of a run of marks.
    """
    composed = "".join(unicodedata.normalize("NFKC", piece) for piece in _PIECE.findall(text))
    pieces = _PIECE.findall(composed.casefold())
    return "".join(unicodedata.normalize("NFKC", piece) for piece in pieces)


class _WordCharacters:
    """A table for `str.translate` that keeps letters, digits and marks, and separates the rest."""

    def __getitem__(self, code_point: int) -> str | None:
        return _translate(code_point)


@lru_cache(maxsize=8192)
def _translate(code_point: int) -> str | None:
    """Return the replacement of a character: itself, a space, or None to delete it.

    A symbol (an emoji, say) is a word of its own. Joiners, soft hyphens and variation selectors
    are deleted: they affect only how a text looks.
    """
    char = chr(code_point)
    kind = unicodedata.category(char)
    if kind == "Cf" or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        return None
    if kind == "So":
        return f" {char} "
    return char if kind[0] in "LNM" else " "
