"""How many rounds a test runs: a few, or all that a requirement names.

`ITEMSAPI_TEST_FULL=1` runs all (`./test -e full`); a test without the mark `slow` needs the mark
`full` to run there too.
"""

import os

FULL = os.environ.get("ITEMSAPI_TEST_FULL") == "1"


def rounds(full: int, quick: int) -> int:
    """Return the number of rounds to run."""
    return full if FULL else quick
