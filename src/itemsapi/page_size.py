"""Page size: how many rows fit into a page of a list, by the bytes of the response (S-111).

A response stays in memory until the client has read it, so neither the client nor the author of the
rows may decide its size.
"""

from collections.abc import Iterable
from typing import Final

MAX_PAGE_BYTES: Final = 1024 * 1024  # of JSON
PAGE_OVERHEAD_BYTES: Final = 4096  # for everything around the rows, mainly the cursor
MAX_BYTES_PER_CHARACTER: Final = 6  # of JSON: an escaped control character


def fitting_rows(row_sizes: Iterable[int]) -> int:
    """Return how many of the first rows fit into a page, given the bytes of each row.

    It is at least one, so that every list comes to its end.
    """
    remaining_bytes, count = MAX_PAGE_BYTES - PAGE_OVERHEAD_BYTES, 0
    for size in row_sizes:
        remaining_bytes -= size
        if remaining_bytes < 0:
            break
        count += 1
    return max(count, 1)
