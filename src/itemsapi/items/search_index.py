"""The text index: which items contain which words, tags and owners; it changes with the item.

SQLite keeps it in an FTS5 table whose rowid is the item's number, PostgreSQL in a `tsvector` under
a GIN index. Both receive finished words (see `tokenizer`), so both find the same items. A tag is
the word `#digest`, a currency `$code`, an owner `@id`: one look-up evaluates all of them together,
and the number of other users' items does not slow down a search.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.orm import Session

from itemsapi.items.models import ItemDraft
from itemsapi.items.tokenizer import Term, tokenize

# Up to this number, matches are fetched and sorted; with more, reading in sort order finds enough
# of them soon.
MAX_SORTED_MATCHES: Final = 200
COPIED_AT_ONCE: Final = 1000  # items

_UPSERT = {
    "sqlite": text(
        "INSERT OR REPLACE INTO itemsapi_item_text (rowid, words) VALUES (:number, :words)"
    ),
    "postgresql": text(
        "INSERT INTO itemsapi_item_text (number, words)"
        " VALUES (:number, array_to_tsvector(CAST(:words AS text[])))"
        " ON CONFLICT (number) DO UPDATE SET words = excluded.words"
    ),
}
_SELECT_ALL = text("SELECT rowid, words FROM itemsapi_item_text")
_DELETE = {
    "sqlite": text("DELETE FROM itemsapi_item_text WHERE rowid = :number"),
    "postgresql": text("DELETE FROM itemsapi_item_text WHERE number = :number"),
}
_SELECT_MATCHES = {
    "sqlite": "SELECT rowid FROM itemsapi_item_text WHERE itemsapi_item_text MATCH :match",
    "postgresql": "SELECT number FROM itemsapi_item_text WHERE words @@ CAST(:match AS tsquery)",
}
_SELECT_FIRST_MATCHES = {
    dialect: text(f"{sql} LIMIT {MAX_SORTED_MATCHES + 1}")
    for dialect, sql in _SELECT_MATCHES.items()
}


def indexed_texts(draft: ItemDraft) -> list[str]:
    """Return the texts that an item is found by, the short ones first."""
    return [draft.name, draft.sku or "", *draft.tags, draft.description, draft.currency]


def filter_words(tags: Iterable[str], currency: str | None, owner: str | None) -> list[str]:
    """Return the index words for these filters; a prefix separates them from words of a text."""
    words = ["#" + blake2b(tag.encode(), digest_size=16).hexdigest() for tag in tags]
    if currency is not None:
        words.append("$" + currency.lower())
    if owner is not None:
        characters = (char for char in owner if char.isascii() and char.isalnum())
        words.append("@" + "".join(characters).lower())
    return words


def index_item(tx: Session, number: int, owner: str, draft: ItemDraft) -> None:
    """Store the words of an item, in place of its former words."""
    words: Any = _all_words(owner, draft)
    dialect = tx.get_bind().dialect.name
    if dialect == "sqlite":
        words = " ".join(words)
    tx.execute(_UPSERT[dialect], {"number": number, "words": words})


def remove_item(tx: Session, number: int) -> None:
    """Delete the words of an item."""
    tx.execute(_DELETE[tx.get_bind().dialect.name], {"number": number})


def copy_index(source: Connection, target: Connection, progress: Callable[[int], object]) -> None:
    """Copy the words of all items from SQLite to PostgreSQL.

    `progress` is called with the number of items of each batch.
    """
    rows = source.execute(_SELECT_ALL).all()
    for start in range(0, len(rows), COPIED_AT_ONCE):
        batch = rows[start : start + COPIED_AT_ONCE]
        values = [{"number": row.rowid, "words": row.words.split()} for row in batch]
        target.execute(_UPSERT["postgresql"], values)
        progress(len(batch))


def match_expression(dialect: str, terms: Iterable[Term], words: Iterable[str]) -> str:
    """Return the full-text query for all of these terms and words in the syntax of the dialect.

    A word contains letters, digits and marks only, so inside quotes it cannot be an operator.
    """
    quote, prefix_mark, conjunction = (
        ('"', " *", " AND ") if dialect == "sqlite" else ("'", ":*", " & ")
    )
    marked = [(word, prefix_mark if prefix else "") for word, prefix in terms]
    marked += [(word, "") for word in words]
    return conjunction.join(f"{quote}{word}{quote}{mark}" for word, mark in marked)


def find_few_matches(connection: Connection, match: str) -> list[int] | None:
    """Return the numbers of the matching items; None if there are more than can be sorted."""
    statement = _SELECT_FIRST_MATCHES[connection.dialect.name]
    numbers = list(connection.execute(statement, {"match": match}).scalars())
    return numbers if len(numbers) <= MAX_SORTED_MATCHES else None


def match_condition(dialect: str) -> TextClause:
    """Return the condition that an item matches `:match`.

    The `+` keeps SQLite from fetching and sorting all matches: it reads in sort order instead.
    """
    plus = "+" if dialect == "sqlite" else ""
    return text(f"{plus}itemsapi_item.number IN ({_SELECT_MATCHES[dialect]})")


def _all_words(owner: str, draft: ItemDraft) -> list[str]:
    words = tokenize("\n".join(indexed_texts(draft)))
    return sorted(words.union(filter_words(draft.tags, draft.currency, owner)))
