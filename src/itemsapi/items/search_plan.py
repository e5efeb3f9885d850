"""The plan of a search: one rule by which any filters cost about the same, in any number of items.

0. With a sku: ask its index. An owner has at most one item with it.
1. Walk: read the next rows of the sort order, and test each one. If the page is full, done.
2. If enough rows passed to fill the page soon, walk on. Otherwise count among these rows how often
   each condition holds.
3. Otherwise ask the indexes of the rare conditions, the rarest first, for at most `MAX_NUMBERS`
   items. If these are all, fetch them, test the rest, and sort: this is the whole list.
4. Otherwise walk on to the end of the budget, and return a short page that says where it stopped.

Without step 4, conditions that hold often, but never together near the start, would cost as much as
there are items. docs/adr/0021 has the reasons and the figures.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

import orjson

from itemsapi.db import Lookup, Rows
from itemsapi.items import search_index
from itemsapi.items.list_statements import (
    ListShape,
    chosen_lookup,
    numbers_lookup,
    sample_lookup,
    walk_lookup,
)
from itemsapi.items.models import ItemRecord
from itemsapi.items.tokenizer import Term

FIRST_ROWS = 250  # of the walk that most pages need
STEP_ROWS = 500  # of a longer walk, which looks at the clock after each step
MAX_STEPS = 20
MAX_WALK_SECONDS = 0.015
EXPECTED_WALK_ROWS = 5000  # that a long walk comes to in this time
MAX_NUMBERS = 2000  # of items that are fetched and sorted, in about 15 ms
RARE_SHARE = 0.03  # of rows; above, an index of a column has more than `MAX_NUMBERS` of them
MAX_WORD_ITEMS = 100_000  # in which a rare word may be; two such lists take 10 ms
_INDEXED_COLUMNS: Final = {"sku", "price", "created_at", "updated_at"}

Row = Sequence[Any]
Fetch = Callable[[Lookup, Mapping[str, Any]], Rows]


@dataclass(slots=True)
class Found:
    """The rows found so far, and the last row that was tested; None at the end of the list."""

    rows: list[Row] = field(default_factory=list)
    stop: Row | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of the first rows: their number, and how many of them pass each test."""

    rows: int
    passing: Mapping[str, int]
    items: int  # of all users

    def rare_columns(self) -> Iterator[str]:
        """Yield the columns with an index whose conditions hold rarely."""
        for subject in self.passing.keys() & _INDEXED_COLUMNS:
            if self.passing[subject] < self.rows * RARE_SHARE:
                yield subject

    def rare_words(self, terms: Mapping[str, Term]) -> frozenset[str]:
        """Return the subjects of these terms that are in few items."""
        shares = {each: self.passing[each] / self.rows for each in terms}
        return frozenset(each for each in terms if shares[each] * self.items < MAX_WORD_ITEMS)

    def expected_matches(self, words: Iterable[str]) -> float:
        """Return about how many items have all of these words, if they are independent."""
        return self.items * prod(self.passing[each] / self.rows for each in words)


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
        if "sku" in self.shape.subjects and len(numbers := self._numbers("sku")) <= MAX_NUMBERS:
            return Found(self._fetch_chosen(frozenset({"sku"}), numbers))  # an owner has one
        found = self._walk(Found(), self.shape, self.params, FIRST_ROWS)
        if found.stop is None or self.is_full(found.rows):
            return found
        if not self._is_walk_enough(found):
            for solved, numbers in self._sources(self._sample()):
                if len(numbers) <= MAX_NUMBERS:
                    return Found(self._fetch_chosen(solved, numbers))
        return self._walk_on(found)

    def _walk(self, found: Found, shape: ListShape, params: Mapping[str, Any], rows: int) -> Found:
        """Test the next rows of the sort order."""
        read = self.fetch_items(walk_lookup(shape, rows), params)
        stop = read[-1] if read and read[-1][-1] else None
        return Found([*found.rows, *(read if stop is None else read[:-1])], stop)

    def _walk_on(self, found: Found) -> Found:
        """Walk until the page is full, the list ends, or the budget is used up."""
        until = time.monotonic() + MAX_WALK_SECONDS
        for _ in range(MAX_STEPS):
            if found.stop is None or self.is_full(found.rows) or time.monotonic() > until:
                break
            found = self._walk(found, *self._behind(found.stop), STEP_ROWS)
        return found

    def _behind(self, row: Row) -> tuple[ListShape, Mapping[str, Any]]:
        """Return the shape and the parameters of the list that follows a row."""
        after = {
            "after": row[ItemRecord._fields.index(self.shape.sort_field)],
            "after_id": row[ItemRecord._fields.index("id")],
        }
        return self.shape.behind_a_row(), {**self.params, **after}

    def _sample(self) -> Sample:
        [[rows, *counts, items]] = self.fetch(sample_lookup(self.shape, FIRST_ROWS), self.params)
        passing = [count or 0 for count in counts]
        return Sample(rows, dict(zip(self.shape.subjects, passing, strict=True)), items)

    def _is_walk_enough(self, found: Found) -> bool:
        """Return whether a long walk is expected to fill the page."""
        missing: int = self.params["row_limit"] - len(found.rows)
        return len(found.rows) * EXPECTED_WALK_ROWS / FIRST_ROWS > missing

    def _sources(self, sample: Sample) -> Iterator[tuple[frozenset[str], list[int]]]:
        """Yield the subjects of a rare condition and the numbers of its items, the rarest first."""
        words = sample.rare_words(self.terms)
        sources = [frozenset({each}) for each in sample.rare_columns()]
        if words and sample.expected_matches(words) <= MAX_NUMBERS:
            sources.append(words)
        for source in sorted(sources, key=lambda s: min(sample.passing[each] for each in s)):
            yield source, self._match(words) if source is words else self._numbers(*source)

    def _numbers(self, column: str) -> list[int]:
        rows = self.fetch(numbers_lookup(self.shape, column), self._with_number_limit())
        return [row[0] for row in rows]

    def _match(self, words: frozenset[str]) -> list[int]:
        terms = [self.terms[each] for each in sorted(words)]
        match = search_index.match_expression(self.shape.dialect, terms, self.owner)
        lookup = search_index.MATCHES[self.shape.dialect]
        rows = self.fetch(lookup, self._with_number_limit() | {"match": match})
        return [row[0] for row in rows]

    def _with_number_limit(self) -> dict[str, Any]:
        return {**self.params, "number_limit": MAX_NUMBERS + 1}

    def _fetch_chosen(self, solved: frozenset[str], numbers: list[int]) -> list[Row]:
        """Fetch the items with these numbers that pass the other tests, in order."""
        is_sqlite = self.shape.dialect == "sqlite"
        chosen = orjson.dumps(numbers).decode() if is_sqlite else numbers
        lookup = chosen_lookup(self.shape, solved)
        return [*self.fetch_items(lookup, {**self.params, "numbers": chosen})]
