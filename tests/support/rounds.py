"""How far a test goes: a few rounds, or all that a requirement names.

`ITEMSAPI_TEST_FULL=1` asks for all (`./test -e full`); what has no mark `slow` is marked `full`, to
run there too.
"""

import os

FULL = os.environ.get("ITEMSAPI_TEST_FULL") == "1"


def rounds(full: int, quick: int) -> int:
    """Return how many rounds to go."""
    return full if FULL else quick
