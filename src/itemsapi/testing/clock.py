"""A clock for an application under test."""

from datetime import UTC, datetime, timedelta


class MovableClock:
    """A clock that stands still until a test moves it: `AuthLayer(app, clock=MovableClock())`."""

    def __init__(self) -> None:
        """Start at the present, in whole seconds."""
        self.current = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        """Return the time of this clock, in UTC."""
        return self.current

    def advance(self, **delta: float) -> None:
        """Move the clock by `timedelta(**delta)`; negative values move it back."""
        self.current += timedelta(**delta)
