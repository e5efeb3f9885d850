"""The only reader of time, and the ids that are made of it.

Every other module is handed a `Clock` and calls it; tests hand in one they move themselves.
Times are aware datetimes in UTC; `stamp` is the whole seconds of tokens (RFC 7519 section 2).
"""

import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the present moment in UTC, to the microsecond."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> int:
    """Return `moment` as whole seconds since 1970, rounded down."""
    return int(moment.timestamp())


def new_id() -> str:
    """Return a new UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, 74 random ones.

    Sorted ids are in order of creation, so that new rows lie together in an index.
    """
    millis = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    value = (millis << 80) | noise
    value = value & ~(0xF << 76) | (7 << 76)  # version
    value = value & ~(0x3 << 62) | (0x2 << 62)  # variant
    return str(uuid.UUID(int=value))
