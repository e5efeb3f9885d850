"""Whether a database takes changes: asked once a second at most, however many want to know.

A load balancer asks each process, anybody may ask as well, and nobody is limited there.
"""

import threading
import time
from collections.abc import Callable

from itemsapi.problems import DatabaseUnavailable

NOT_WRITABLE = "database: it takes no changes (read-only, a standby), or was away a moment ago"
PROBE_INTERVAL_SECONDS = 1.0  # seconds that an answer holds


class WritableProbe:
    """Whether a database takes changes, as one thread found out a moment ago."""

    def __init__(self, probe: Callable[[], bool], renew: Callable[[], None]) -> None:
        """Begin in good faith; `renew` is called when changes are taken again."""
        self._probe, self._renew = probe, renew
        self._asking = threading.Lock()
        self._asked, self._is = float("-inf"), True

    def require_writable(self) -> None:
        """Raise `DatabaseUnavailable` unless it does; while one asks, nobody waits."""
        if self._asking.acquire(blocking=False):
            try:
                if time.monotonic() - self._asked >= PROBE_INTERVAL_SECONDS:
                    self._ask()
            finally:
                self._asking.release()
        if not self._is:
            raise DatabaseUnavailable(cause=NOT_WRITABLE)

    def _ask(self) -> None:
        found = False
        try:
            found = self._probe()
            if found and not self._is:
                self._renew()  # what was opened meanwhile may still only read
        finally:
            self._is, self._asked = found, time.monotonic()
