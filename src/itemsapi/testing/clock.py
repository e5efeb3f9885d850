"""A clock for an application under test."""

import time
from datetime import UTC, datetime, timedelta


class MovableClock:
    """A clock that stands still until a test moves it: `AuthLayer(app, clock=MovableClock())`.

    `monotonic` moves with it, for `AuthLayer(app, clock=clock, monotonic=clock.monotonic)`.
    """

    def __init__(self) -> None:
        """Start at the present, in whole seconds."""
        self.current = datetime.now(UTC).replace(microsecond=0)
        self._monotonic = time.monotonic()

    def __call__(self) -> datetime:
        """Return the time of this clock, in UTC."""
        return self.current

    def advance(self, **delta: float) -> None:
        """Move the clock by `timedelta(**delta)`; negative values move it back."""
        step = timedelta(**delta)
        self.current += step
        self._monotonic += max(0.0, step.total_seconds())

    def monotonic(self) -> float:
        """Return the seconds of a timer that advances with this clock, and never goes back."""
        return self._monotonic
