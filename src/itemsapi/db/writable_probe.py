"""Whether a database accepts changes: checked at most once a second.

The health check of a load balancer needs it. That route has no rate limit, so each process limits
the queries itself.
"""

import threading
import time
from collections.abc import Callable

from itemsapi.command_line import command_line
from itemsapi.problems import DatabaseUnavailable

NOT_WRITABLE = (
    "database: it accepts no changes (read-only, or a standby), did not respond a moment ago,"
    " or does not exist yet"
)
PROBE_INTERVAL_SECONDS = 1.0  # how long a result is used


class WritableProbe:
    """Checks whether a database accepts changes, and keeps the result for a second."""

    def __init__(self, probe: Callable[[], bool], on_writable_again: Callable[[], None]) -> None:
        """Take the probe, and what to call when the database accepts changes again."""
        self._probe, self._on_writable_again = probe, on_writable_again
        self._lock = threading.Lock()
        self._probed_at, self._is_writable = float("-inf"), True

    def require_writable(self) -> None:
        """Raise `DatabaseUnavailable` unless the database accepts changes.

        One thread probes; the others use the last result and do not wait.
        """
        if self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._probed_at >= PROBE_INTERVAL_SECONDS:
                    self._run_probe()
            finally:
                self._lock.release()
        if not self._is_writable:
            advice = f"{command_line('db upgrade')} creates an SQLite database"
            raise DatabaseUnavailable(cause=f"{NOT_WRITABLE}; {advice}")

    def _run_probe(self) -> None:
        is_writable = False
        try:
            is_writable = self._probe()
            if is_writable and not self._is_writable:
                self._on_writable_again()  # connections opened meanwhile may be read-only
        finally:
            self._is_writable, self._probed_at = is_writable, time.monotonic()
