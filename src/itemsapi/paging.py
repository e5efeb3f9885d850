"""Pages of lists: cut rows to a page, by their number and by the bytes of the response (S-111).

A list reads one row more than the page may have, which shows whether more follow. A response stays
in memory until the client has read it, so neither the client nor the author of the rows may decide
its size.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Final, Generic, TypeVar

MAX_PAGE_BYTES: Final = 1024 * 1024  # of JSON
PAGE_OVERHEAD_BYTES: Final = 4096  # for everything around the rows, mainly the cursor
MAX_BYTES_PER_CHARACTER: Final = 6  # of JSON: an escaped control character

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A page of a list, and the cursor of the next page if there is one."""

    items: Sequence[Row]
    next_cursor: str | None


def cut_page(
    rows: Sequence[Row],
    limit: int,
    *,
    cursor_after: Callable[[Row], str],
    row_sizes: Iterable[int] | None = None,
) -> Page[Row]:
    """Return the page of the first `limit` rows that fit, given the bytes of each row.

    `rows` has one more row if more follow. `cursor_after` returns the cursor of the page that
    follows a row. Without `row_sizes` the rows fit in any case.
    """
    count = limit if row_sizes is None else min(limit, fitting_rows(row_sizes))
    items = rows[:count]
    return Page(items, cursor_after(items[-1]) if len(rows) > count else None)


def fitting_rows(row_sizes: Iterable[int]) -> int:
    """Return how many of the first rows fit into a page, given the bytes of each row.

    It is at least one, so that every list comes to its end.
    """
    totals = accumulate(row_sizes)
    fitting = takewhile((MAX_PAGE_BYTES - PAGE_OVERHEAD_BYTES).__ge__, totals)
    return max(1, sum(1 for _ in fitting))
