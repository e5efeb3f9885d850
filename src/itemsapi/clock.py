"""The wall clock, and ids that contain its time.

Code that compares with stored times takes a `Clock`, so that tests can move it. Time spans within
one process are measured with `time.monotonic()` instead; the copies that a process keeps take it
as a `Timer`, for the same reason. Times are aware datetimes in UTC.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
Timer = Callable[[], float]  # seconds since some moment


def now() -> datetime:
    """Return the current time in UTC, to the microsecond."""
    return datetime.now(UTC)


def unix_seconds(value: datetime) -> int:
    """Return `value` as whole seconds since 1970, rounded down (RFC 7519 section 2)."""
    return int(value.timestamp())


def rfc3339(time: datetime) -> str:
    """Format a time in UTC with the letter Z; a time without an offset counts as UTC."""
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return time.isoformat()[: -len("+00:00")] + "Z"


def new_id() -> str:
    """Return a new UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, 74 random bits.

    Ids sort by creation time, so that new rows are stored next to each other in an index.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds << 80) | random_bits
    value = value & ~(0xF << 76) | (7 << 76)  # version
    value = value & ~(0x3 << 62) | (0x2 << 62)  # variant
    digits = f"{value:032x}"  # every request has an id, and `uuid.UUID` takes longer for the text
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
