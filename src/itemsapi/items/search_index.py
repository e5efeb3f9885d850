"""The text index: which items hold which words, tags and owners, changed together with the item.

SQLite keeps it in an FTS5 table whose rowid is the item's number, PostgreSQL in a `tsvector` under
a GIN index. Both are handed finished words (see `words`), so both find the same. A tag is the word
`#digest`, a currency `$code`, an owner `@id`: one look-up answers them all together, and what
others own costs a search no time.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.orm import Session

from itemsapi.items.draft import ItemDraft
from itemsapi.items.tokenizer import Term, tokenize

FEW: Final = 200  # matches that are fetched and sorted; of more, one is soon met in sorted order

_PUT = {
    "sqlite": text("INSERT OR REPLACE INTO item_text (rowid, words) VALUES (:number, :words)"),
    "postgresql": text(
        "INSERT INTO item_text (number, words)"
        " VALUES (:number, array_to_tsvector(CAST(:words AS text[])))"
        " ON CONFLICT (number) DO UPDATE SET words = excluded.words"
    ),
}
_DROP = {
    "sqlite": text("DELETE FROM item_text WHERE rowid = :number"),
    "postgresql": text("DELETE FROM item_text WHERE number = :number"),
}
_NUMBERS = {
    "sqlite": "SELECT rowid FROM item_text WHERE item_text MATCH :match",
    "postgresql": "SELECT number FROM item_text WHERE words @@ CAST(:match AS tsquery)",
}
_FIRST = {dialect: text(f"{sql} LIMIT {FEW + 1}") for dialect, sql in _NUMBERS.items()}


def said(draft: ItemDraft) -> list[str]:
    """Return the texts that an item is found by, the short ones first."""
    return [draft.name, draft.sku or "", *draft.tags, draft.description, draft.currency]


def facts(tags: Iterable[str], currency: str | None, owner: str | None) -> list[str]:
    """Return the words for these; a mark in front keeps them apart from those of a text."""
    found = ["#" + blake2b(tag.encode(), digest_size=16).hexdigest() for tag in tags]
    if currency is not None:
        found.append("$" + currency.lower())
    if owner is not None:
        letters = (char for char in owner if char.isascii() and char.isalnum())
        found.append("@" + "".join(letters).lower())
    return found


def put(tx: Session, number: int, owner: str, draft: ItemDraft) -> None:
    """Let an item be found by what its draft says, and by nothing it said before."""
    found: Any = _all_words(owner, draft)
    dialect = tx.get_bind().dialect.name
    if dialect == "sqlite":
        found = " ".join(found)
    tx.execute(_PUT[dialect], {"number": number, "words": found})


def drop(tx: Session, number: int) -> None:
    """Forget the words of an item."""
    tx.execute(_DROP[tx.get_bind().dialect.name], {"number": number})


def match(dialect: str, terms: Iterable[Term], facts: Iterable[str]) -> str:
    """Write the query for all of these words in the language of the index.

    A word holds letters, digits and marks only, so in quotes it is nothing but a word.
    """
    quote, beginning, both = ('"', " *", " AND ") if dialect == "sqlite" else ("'", ":*", " & ")
    asked = [(word, beginning if prefix else "") for word, prefix in terms]
    asked += [(word, "") for word in facts]
    return both.join(f"{quote}{word}{quote}{mark}" for word, mark in asked)


def few(connection: Connection, query: str) -> list[int] | None:
    """Return the numbers of the items that match if they are few, else nothing."""
    first = _FIRST[connection.dialect.name]
    numbers = list(connection.execute(first, {"match": query}).scalars())
    return numbers if len(numbers) <= FEW else None


def matching(dialect: str) -> TextClause:
    """Return the condition that an item matches `:match`.

    The `+` keeps SQLite from fetching and sorting all matches: it walks the sorted field instead.
    """
    plus = "+" if dialect == "sqlite" else ""
    return text(f"{plus}item.number IN ({_NUMBERS[dialect]})")


def _all_words(owner: str, draft: ItemDraft) -> list[str]:
    seen = tokenize("\n".join(said(draft)))
    return sorted(seen.union(facts(draft.tags, draft.currency, owner)))
