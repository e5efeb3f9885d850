"""An event that handlers of signals may set at any moment."""

from queue import SimpleQueue


class ReentrantEvent:
    """Wakes the one thread that waits; used like `threading.Event`, which a handler must not set.

    A handler runs in the main thread, between any two steps of it: inside `threading.Event`, which
    holds its lock there, it would wait for itself for ever. `SimpleQueue.put` is reentrant.
    """

    def __init__(self) -> None:
        """Make an event that is not set."""
        self._wakeups: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Wake the thread that waits, or let its next `wait` return at once."""
        self._wakeups.put(None)

    def wait(self) -> None:
        """Wait until the event is set, and clear it."""
        self._wakeups.get()
        for _ in range(self._wakeups.qsize()):
            self._wakeups.get()

    def clear(self) -> None:
        """Do nothing: what was set since `wait` returned is not handled yet."""
