"""Exhausted keys: which keys have no attempts left, for a moment in the memory of this process.

To reject an attempt took a write transaction, 0.7 ms in the queue of writers: a storm of attempts
that all got a 429 delayed everybody else. Failures only increase until their window is over: a
success does not take them back, and no command does. So what the database said a moment ago is
still true. It is asked again every few seconds nevertheless, because a backup may be restored, or
an operator may delete rows.
"""

import threading
from datetime import datetime, timedelta

MAX_AGE = timedelta(seconds=5)  # then the database is asked again
MAX_KEYS = 10_000  # about 2 MB; above it the oldest is forgotten, and the database decides


class ExhaustedKeys:
    """When the windows of exhausted keys started; keys are hashes."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._found: dict[str, tuple[datetime, datetime]] = {}  # by key: the window, and when read

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._found)

    def remember(self, key: str, started_at: datetime, now: datetime) -> None:
        """Remember that the database said now that a key is exhausted since `started_at`."""
        with self._lock:
            self._found.pop(key, None)
            self._found[key] = (started_at, now)
            if len(self._found) > MAX_KEYS:
                del self._found[next(iter(self._found))]

    def started_at(self, key: str, now: datetime) -> datetime | None:
        """Return when the window of an exhausted key started; None if the database must tell.

        After a step of the clock in either direction it must, too.
        """
        window, read_at = self._found.get(key, (None, now))
        return window if timedelta(0) <= now - read_at < MAX_AGE else None
