"""The event that wakes the supervisor at a signal."""

import subprocess
import sys

from itemsapi.server.reentrant_event import ReentrantEvent

TIMEOUT_SECONDS = 60
SIGNAL_AT_EACH_LINE = """
import signal, sys
from itemsapi.server.reentrant_event import ReentrantEvent

event = ReentrantEvent()
signal.signal(signal.SIGTERM, lambda *_: event.set())

def interrupt(frame, what, argument):
    signal.raise_signal(signal.SIGTERM)
    return interrupt

sys.settrace(interrupt)
event.set()
event.wait()
sys.settrace(None)
print("woken")
"""


def test_signals_in_the_middle_of_an_event_wake_it() -> None:
    """A handler that waited for a lock of its own thread would wait for ever (R-22)."""
    program = [sys.executable, "-c", SIGNAL_AT_EACH_LINE]
    ended = subprocess.run(  # noqa: S603 - our own program
        program, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert ended.stdout == "woken\n"


def test_no_signal_is_lost_between_waiting_and_clearing() -> None:
    """It may be the one that stops the service (R-22)."""
    event = ReentrantEvent()
    event.set()
    event.wait()
    event.set()
    event.clear()
    event.wait()
