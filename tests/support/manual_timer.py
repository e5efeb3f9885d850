"""A timer that a test moves, for what ages within a process: copies, pauses, waits."""


class ManualTimer:
    """A timer that stands still until a test moves it."""

    def __init__(self) -> None:
        """Start at some moment, as the monotonic clock does."""
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Return the seconds so far."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass."""
        self.seconds += seconds
