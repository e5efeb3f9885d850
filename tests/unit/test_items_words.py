"""The tokenizer: texts and queries are cut into words by the same rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.items.tokenizer import Term, search_terms, tokenize


@pytest.mark.parametrize(
    ("text", "words"),
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
def test_a_text_is_cut_into_words(text: str, words: set[str]) -> None:
    """Letters, digits and marks make words; scripts without spaces are cut in threes."""
    assert tokenize(text) == words


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("Lamp", [Term("lamp", prefix=True)]),
        ("東", [Term("東", prefix=True)]),
        ("東京", [Term("東京", prefix=True)]),
        ("東京都", [Term("東京都", prefix=False)]),
        ("東京都庁", [Term("東京都", prefix=False), Term("京都庁", prefix=False)]),
        ("a A \uff41", [Term("a", prefix=True)]),
    ],
)
def test_a_query_becomes_prefixes_and_ngrams(query: str, terms: list[Term]) -> None:
    """A short run is a prefix, a long one several words."""
    assert search_terms(query) == terms


def test_further_terms_of_a_query_are_ignored_beyond_the_limit() -> None:
    """S-101: more words hardly narrow the result."""
    assert len(search_terms(" ".join(f"w{n}" for n in range(100)))) == 40


def test_a_very_long_word_is_found_by_its_beginning() -> None:
    """Index and query cut it at the same length."""
    assert search_terms("x" * 200) == [Term("x" * 64, prefix=True)]
    assert tokenize("x" * 200) == {"x" * 64}


@given(st.text(max_size=200))
def test_words_contain_no_character_that_is_an_operator_of_an_index(text: str) -> None:
    """No quote, space, operator or control character is left in any word (injection)."""
    assert all(char.isalnum() or ord(char) > 127 for word in tokenize(text) for char in word)
    assert all(1 <= len(word) <= 64 for word in tokenize(text))


@given(st.text(max_size=200))
def test_a_text_matches_each_of_its_own_words(text: str) -> None:
    """Each term of a word of a text is a word of that text, or the beginning of one."""
    known = tokenize(text)
    for term in (found for part in text.split() for found in search_terms(part)):
        assert term.word in known or (
            term.prefix and any(word.startswith(term.word) for word in known)
        )


@pytest.mark.parametrize("mark", ["\u0316\u0301", "\u3099", "\ufdfa", "\u0345", "\U0001d15e"])
def test_unusual_characters_do_not_swell_the_index(mark: str) -> None:
    """S-101: characters that expand under normalisation give few words."""
    assert sum(len(word) for word in tokenize(mark * 5_000)) < 1_000
