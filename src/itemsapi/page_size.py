"""Weight: how many rows of a list make a page, by the bytes of the answer (S-111).

A page is held in memory until its reader has taken it, so its size must not be for the reader, or
for whoever filled the list, to decide.
"""

from collections.abc import Iterable
from typing import Final

MAX_BYTES: Final = 1024 * 1024  # of a page's JSON
FRAME: Final = 4096  # bytes of it for what stands around the rows: a cursor above all
PER_CHARACTER: Final = 6  # bytes of JSON that one makes at most: a control character, escaped


def fitting(weights: Iterable[int]) -> int:
    """Return how many of the first rows, of so many bytes each, make a page.

    It is one at least: a list must come to its end.
    """
    left, count = MAX_BYTES - FRAME, 0
    for weight in weights:
        left -= weight
        if left < 0:
            break
        count += 1
    return max(count, 1)
