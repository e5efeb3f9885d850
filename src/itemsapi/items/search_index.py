"""The text index: which items contain which words, tags and owners; it changes with the item.

SQLite keeps it in an FTS5 table whose rowid is the item's number, PostgreSQL in a `tsvector` under
a GIN index. Both receive finished words (see `tokenizer`), so both find the same items. A tag is
the word `#digest`, a currency `$code`, an owner `@id`: one look-up evaluates all of them together.
The owner is asked for only if they have few items (see `search_plan`): then it does not matter how
many items of others have the words.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    String,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
    text,
    true,
)
from sqlalchemy.orm import Session

from itemsapi.db import Lookup
from itemsapi.items.models import ItemDraft
from itemsapi.items.tokenizer import Term, tokenize

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
_MATCH = {
    "sqlite": "itemsapi_item_text MATCH :match",
    "postgresql": "words @@ CAST(:match AS tsquery)",
}
MATCHES = {  # the numbers of the first `number_limit` items that match
    dialect: Lookup(
        select(literal_column("rowid" if dialect == "sqlite" else "number", Integer))
        .select_from(table("itemsapi_item_text"))
        .where(text(condition))
        .limit(bindparam("number_limit", type_=Integer))
    )
    for dialect, condition in _MATCH.items()
}
# Where FTS5 keeps the texts that it received (sqlite.org/fts5.html, "The %_content table"). Reading
# a row of it takes a third of the time that the FTS5 table itself takes.
_STORED = table("itemsapi_item_text_content", column("id", Integer), column("c0", String))
_WORDS = table("itemsapi_item_text", column("number", Integer), column("words"))


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
    index_items(tx, [(number, all_words(owner, draft))])


def index_items(tx: Session, words: Iterable[tuple[int, list[str]]]) -> None:
    """Store the words of many items, given by their numbers."""
    dialect = tx.get_bind().dialect.name
    form: Callable[[list[str]], Any] = " ".join if dialect == "sqlite" else list
    rows = [{"number": number, "words": form(each)} for number, each in words]
    tx.execute(_UPSERT[dialect], rows)


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


def match_expression(dialect: str, terms: Iterable[Term], owner: str | None) -> str:
    """Return the full-text query for all of these terms, in the syntax of the dialect.

    A word contains letters, digits and marks only, so inside quotes it cannot be an operator.
    """
    quote, prefix_mark, conjunction = (
        ('"', " *", " AND ") if dialect == "sqlite" else ("'", ":*", " & ")
    )
    marked = [(word, prefix_mark if prefix else "") for word, prefix in terms]
    marked += [(word, "") for word in filter_words((), None, owner)]
    return conjunction.join(f"{quote}{word}{quote}{mark}" for word, mark in marked)


def join_words(dialect: str, rows: FromClause) -> FromClause:
    """Return the rows of items joined with their words, for `has_word`.

    Each row looks up its own words: an outer join and `OFFSET 0` keep both databases from starting
    with the words.
    """
    if dialect == "sqlite":
        return rows.outerjoin(_STORED, _STORED.c.id == rows.c.number)
    words = select(_WORDS.c.words).where(_WORDS.c.number == rows.c.number)
    return rows.outerjoin(words.offset(literal_column("0")).lateral("stored"), true())


def has_word(dialect: str, name: str) -> ColumnElement[bool]:
    """Return the condition that an item has the word in the parameter `name` (`word_value`)."""
    if dialect == "sqlite":
        return func.instr(" " + _STORED.c.c0 + " ", bindparam(name, type_=String())) > 0
    from sqlalchemy.dialects.postgresql import TSQUERY  # noqa: PLC0415 - SQLite does without it

    query = cast(bindparam(name, type_=String()), TSQUERY)
    return literal_column("stored.words").bool_op("@@")(query)


def word_value(dialect: str, term: Term) -> str:
    """Return the parameter of `has_word` for a term.

    SQLite stores the words of an item with spaces between them.
    """
    if dialect == "sqlite":
        return f" {term.word}" if term.prefix else f" {term.word} "
    return match_expression(dialect, [term], None)


def all_words(owner: str, draft: ItemDraft) -> list[str]:
    """Return the words of an item: those of its texts, and one for each tag, currency and owner."""
    words = tokenize("\n".join(indexed_texts(draft)))
    return sorted(words.union(filter_words(draft.tags, draft.currency, owner)))
