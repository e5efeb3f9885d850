"""Words: texts and queries are cut by the same rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.items.tokenizer import Term, search_terms, tokenize


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Café-Crème, 2nd", {"café", "crème", "2nd"}),
        ("STRASSE straße", {"strasse"}),
        ("東京都庁", {"東京都", "京都庁", "都庁", "庁"}),
        ("ﾃﾚﾋﾞ", {"テレビ", "レビ", "ビ"}),
        ("iPhone用ケース", {"iphone", "用ケー", "ケース", "ース", "ス"}),
        ("हिन्दी", {"हिन्दी"}),
        ("soft\u00adhyphen", {"softhyphen"}),
        ("party🎉🎉", {"party", "🎉"}),
        ("葛\U000e0100飾", {"葛飾", "飾"}),
        ("i\ufe00 lo\ufe0fve\U000e01efly", {"i", "lovely"}),
        ("!? ()\n\t'\"*:&|", set()),
    ],
)
def test_a_text_is_cut_into_words(text: str, found: set[str]) -> None:
    """Letters, digits and marks make words; scripts without spaces are cut in threes."""
    assert tokenize(text) == found


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("Lamp", [Term("lamp", prefix=True)]),
        ("東", [Term("東", prefix=True)]),
        ("東京", [Term("東京", prefix=True)]),
        ("東京都", [Term("東京都", prefix=False)]),
        ("東京都庁", [Term("東京都", prefix=False), Term("京都庁", prefix=False)]),
        ("a A \uff41", [Term("a", prefix=True)]),
    ],
)
def test_a_query_asks_for_beginnings_and_threes(query: str, asked: list[Term]) -> None:
    """A short run is the beginning of a word, a long one several words."""
    assert search_terms(query) == asked


def test_a_query_counts_up_to_its_bound() -> None:
    """S-101: more words hardly narrow, so the rest does not count."""
    assert len(search_terms(" ".join(f"w{n}" for n in range(100)))) == 40


def test_a_very_long_word_is_found_by_its_beginning() -> None:
    """Index and query cut it at the same place."""
    assert search_terms("x" * 200) == [Term("x" * 64, prefix=True)]
    assert tokenize("x" * 200) == {"x" * 64}


@given(st.text(max_size=200))
def test_words_hold_nothing_that_an_index_could_misread(text: str) -> None:
    """No quote, space, operator or control character is left in any word (injection)."""
    assert all(char.isalnum() or ord(char) > 127 for word in tokenize(text) for char in word)
    assert all(1 <= len(word) <= 64 for word in tokenize(text))


@given(st.text(max_size=200))
def test_a_text_answers_to_each_of_its_own_words(text: str) -> None:
    """What is asked for a word of a text is a word of that text, or the beginning of one."""
    known = tokenize(text)
    for asked in (term for part in text.split() for term in search_terms(part)):
        assert asked.word in known or (
            asked.prefix and any(word.startswith(asked.word) for word in known)
        )


@pytest.mark.parametrize("mark", ["\u0316\u0301", "\u3099", "\ufdfa", "\u0345", "\U0001d15e"])
def test_a_text_of_nothing_but_oddities_makes_few_words(mark: str) -> None:
    """S-101: what unfolds under normalisation does not swell the index."""
    assert sum(len(word) for word in tokenize(mark * 5_000)) < 1_000
