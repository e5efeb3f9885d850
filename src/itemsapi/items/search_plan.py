"""The plan of a search: one rule by which any filters cost about the same, in any number of items.

0. With a sku: ask its index. An owner has at most one item with it.
1. Walk: read the next rows of the sort order, and test each one. If the page is full, done.
2. Ask the index of each column that a condition is on. If it finds at most `MAX_FOUND` items, test
   the rest, and sort: this is the whole list.
3. If the walk will not fill the page soon, ask the text index likewise, for rare words.
4. Otherwise walk on to the end of the budget, and return a short page that says where it stopped.

Without step 4, conditions that hold often, but never together near the start, would cost as much as
there are items. docs/adr/0021 has the reasons and the figures.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

import orjson

from itemsapi.db import Fetch, Lookup
from itemsapi.items import search_index
from itemsapi.items.list_statements import (
    SIZES,
    ListShape,
    chosen_lookup,
    range_lookup,
    sample_lookup,
    walk_lookup,
)
from itemsapi.items.models import ItemRecord
from itemsapi.items.tokenizer import Term

FIRST_ROWS = 250  # of the walk that most pages need
MAX_STEP_ROWS = 4000  # of a longer walk; a step is at most twice as long as the one before
MAX_WALK_SECONDS = 0.015
EXPECTED_WALK_ROWS = 5000  # that a long walk comes to in this time
MAX_FOUND = 2000  # items that are fetched and sorted, in about 15 ms
MAX_WORD_ITEMS = 100_000  # that have a rare word; two such lists take 10 ms
_INDEXED_COLUMNS: Final = {"sku", "price", "created_at", "updated_at"}

Row = Sequence[Any]


@dataclass(slots=True)
class Found:
    """The rows found so far, and the last row that was tested; None at the end of the list."""

    rows: list[Row] = field(default_factory=list)
    stop: Row | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One page of a filtered list.

    `terms` are the conditions that the text index knows, by subject. `is_full` tells whether these
    rows fill a page. `fetch` runs a look-up; `fetch_items` runs one of items, and may omit the rows
    that follow a full page.
    """

    shape: ListShape
    params: Mapping[str, Any]
    terms: Mapping[str, Term]
    owner: str | None
    is_full: Callable[[Sequence[Row]], bool]
    fetch: Fetch
    fetch_items: Fetch

    def run(self) -> Found:
        """Return the rows of the page, and where the search stopped if it did not see them all."""
        if "sku" in self.shape.subjects and (by_sku := self._ask_column("sku")):
            return by_sku
        found = self._read(walk_lookup(self.shape, FIRST_ROWS), self.params)
        if found.stop is None or self.is_full(found.rows):
            return found
        return self._ask_indexes(found) or self._walk_on(found)

    def _read(self, lookup: Lookup, params: Mapping[str, Any]) -> Found:
        """Run a look-up of which one row may be the one where it stopped."""
        read = self.fetch_items(lookup, params)
        stop = next((row for row in reversed(read) if row[-1]), None)
        return Found([row for row in read if row is not stop], stop)

    def _walk_on(self, found: Found) -> Found:
        """Walk until the page is full, the list ends, or the budget is used up."""
        until, rows = time.monotonic() + MAX_WALK_SECONDS, 2 * FIRST_ROWS
        while rows and found.stop is not None and not self.is_full(found.rows):
            began = time.monotonic()
            shape, after = self._behind(found.stop)
            missing = {"row_limit": self.params["row_limit"] - len(found.rows)}
            step = self._read(walk_lookup(shape, rows), {**self.params, **after, **missing})
            found = Found(found.rows + step.rows, step.stop)
            now = time.monotonic()
            rows = next_step(rows, now - began, until - now)
        return found

    def _behind(self, row: Row) -> tuple[ListShape, Mapping[str, Any]]:
        """Return the shape of the list that follows a row, and the parameters of this place."""
        return self.shape.behind_a_row(), {
            "after": row[ItemRecord._fields.index(self.shape.sort_field)],
            "after_id": row[ItemRecord._fields.index("id")],
        }

    def _is_walk_enough(self, found: Found) -> bool:
        """Return whether a long walk is expected to fill the page."""
        missing: int = self.params["row_limit"] - len(found.rows)
        return len(found.rows) * EXPECTED_WALK_ROWS / FIRST_ROWS > missing

    def _ask_indexes(self, found: Found) -> Found | None:
        """Return the whole list by an index of which few items come; None if there is none."""
        for column in sorted(_INDEXED_COLUMNS.intersection(self.shape.subjects)):
            if whole := self._ask_column(column):
                return whole
        is_asked = self.terms and not self._is_walk_enough(found)
        return self._ask_text_index(found) if is_asked else None

    def _ask_column(self, column: str) -> Found | None:
        """Return the whole list if the index of a column finds few items."""
        found = self._read(range_lookup(self.shape, column, MAX_FOUND), self.params)
        return found if found.stop is None else None

    def _ask_text_index(self, found: Found) -> Found | None:
        """Return the whole list if few items have all rare words.

        The owner is such a word if they have few items. Expect of the other items what the first
        rows are like, and that the words are independent.
        """
        [[items, owned]] = self.fetch(SIZES, {"owner": self.owner})
        is_owner_rare = owned is not None and owned < MAX_WORD_ITEMS
        shares, population = self._shares(found), owned if is_owner_rare else items
        words = rare_words(shares, items, population)
        if not words or population * prod(shares[word] for word in words) > MAX_FOUND:
            return None
        numbers = self._match(words, self.owner if is_owner_rare else None)
        return self._fetch_chosen(words, numbers) if len(numbers) <= MAX_FOUND else None

    def _shares(self, found: Found) -> dict[str, float]:
        """Return how large a share of the first rows has each word."""
        words = sorted(self.terms)
        if self.shape.subjects == words[:1]:  # the walk tested nothing else
            return {words[0]: len(found.rows) / FIRST_ROWS}
        sample = sample_lookup(self.shape, FIRST_ROWS, tuple(words))
        [[rows, *counts]] = self.fetch(sample, self.params)
        rows = rows or FIRST_ROWS  # somebody may have deleted them since the walk
        return {word: (count or 0) / rows for word, count in zip(words, counts, strict=True)}

    def _match(self, words: set[str], owner: str | None) -> list[int]:
        """Return the numbers of the first items that have these words."""
        terms = [self.terms[each] for each in sorted(words)]
        match = search_index.match_expression(self.shape.dialect, terms, owner)
        lookup = search_index.MATCHES[self.shape.dialect]
        rows = self.fetch(lookup, {"match": match, "number_limit": MAX_FOUND + 1})
        return [row[0] for row in rows]

    def _fetch_chosen(self, solved: set[str], numbers: list[int]) -> Found:
        """Fetch the items with these numbers that pass the other tests, in order."""
        if not numbers:
            return Found()
        is_sqlite = self.shape.dialect == "sqlite"
        chosen = orjson.dumps(numbers).decode() if is_sqlite else numbers
        lookup = chosen_lookup(self.shape, frozenset(solved))
        return Found([*self.fetch_items(lookup, {**self.params, "numbers": chosen})])


def rare_words(shares: Mapping[str, float], items: int, population: int) -> set[str]:
    """Return the words to ask the text index for: as many as find few items, the rarest first.

    Each one costs the time of all items that have it. `population` is how many items they are
    looked for in. A share may be larger by one row than it is in the first ones.
    """
    words: set[str] = set()
    most: float = population
    for word in sorted(shares, key=lambda each: shares[each]):
        if shares[word] * items >= MAX_WORD_ITEMS or (words and most <= MAX_FOUND):
            break
        words.add(word)
        most *= shares[word] + 1 / FIRST_ROWS
    return words


def next_step(rows: int, seconds: float, seconds_left: float) -> int:
    """Return the rows of the next step of a walk, when one took so long; 0 if none fits.

    There are few sizes, because each is a statement of its own.
    """
    fitting = max(0, rows * seconds_left / max(seconds, 1e-6))
    step = min(2 * rows, MAX_STEP_ROWS)
    while step > fitting:
        step //= 2
    return step if step >= FIRST_ROWS else 0
