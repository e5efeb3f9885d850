"""Rate limits of requests, counted in memory or, with the extra `redis`, in Redis or Valkey."""

import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final, cast

from itemsapi.clock import Timer, now
from itemsapi.extras import extra
from itemsapi.observability.context import request_context
from itemsapi.observability.logging import log
from itemsapi.problems import TooManyRequests
from itemsapi.settings import ENV_PREFIX, SettingsError
from itemsapi.web_addresses import client_key

if TYPE_CHECKING:
    from limits.storage import Storage

MEMORY_URL: Final = "memory://"
REDIS_TIMEOUTS: Final = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}  # seconds
REDIS_RETRY_SECONDS: Final = 5.0  # after a failure
SECONDS_PER_UNIT: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of requests in a window of time."""

    amount: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Return the rate of a valid setting: `600/minute`, `5 per 10 seconds`."""
        amount, multiple, unit = re.fullmatch(
            r"(\d+)\s*(?:/|per)\s*(\d*)\s*(second|minute|hour|day)s?", text, re.ASCII
        ).groups()  # type: ignore[union-attr]  # the settings have checked it
        return cls(int(amount), int(multiple or 1) * SECONDS_PER_UNIT[unit])


class StorageUnavailable(Exception):
    """The shared storage did not respond."""


# Counts a request of a key; returns how many seconds of the window remain if it is one too many.
Count = Callable[[str], float | None]


class MemoryWindows:
    """Counts requests in this process: for each key in windows that begin with a request.

    A request costs the same however many keys there are, and a window that is over is forgotten:
    all windows are equally long, so they end in the order in which they began.
    """

    def __init__(self, rate: Rate, timer: Timer = time.monotonic) -> None:
        """Take the rate."""
        self._rate, self._timer = rate, timer
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}  # by key: its end, the requests so far

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._windows)

    def count(self, key: str) -> float | None:
        """Count a request; return how many seconds remain if it is one too many, else None."""
        with self._lock:
            time_now = self._timer()
            self._forget_ended(time_now)
            end, requests = self._windows.get(key, (time_now + self._rate.seconds, 0))
            if requests >= self._rate.amount:
                return end - time_now
            self._windows[key] = (end, requests + 1)
            return None

    def _forget_ended(self, time_now: float) -> None:
        while self._windows:
            oldest = next(iter(self._windows))
            if self._windows[oldest][0] > time_now:
                return
            del self._windows[oldest]


class RequestRateLimiter:
    """Limits the requests of each user or client address.

    While Redis is unavailable, this process counts on its own: limits are never off (R-08).
    """

    def __init__(self, rate: str | None, url: str, timer: Timer = time.monotonic) -> None:
        """Take the rate of the settings, or None for no limit, and where to count.

        The windows in this process end by `timer`, those in Redis by its own clock.
        """
        self._rate = Rate.parse(rate) if rate else None
        if self._rate:
            self._count_here = MemoryWindows(self._rate, timer).count
            self._count_shared = (
                self._count_here if url == MEMORY_URL else _count_in(_open_storage(url), self._rate)
            )
        self._storage_retry_at = float("-inf")

    def hit(self, user_id: str | None) -> None:
        """Count a request of a user or client address. Raise `TooManyRequests` above the limit."""
        if self._rate is None:
            return
        key = f"u:{user_id}" if user_id else f"a:{client_key(request_context().address)}"
        wait = self._count(key)
        if wait is not None:
            raise TooManyRequests(math.ceil(wait), policy=(self._rate.amount, self._rate.seconds))

    def _count(self, key: str) -> float | None:
        if time.monotonic() < self._storage_retry_at:
            return self._count_here(key)
        try:
            return self._count_shared(key)
        except StorageUnavailable:
            self._storage_retry_at = time.monotonic() + REDIS_RETRY_SECONDS
            log.warning("rate_limit_storage_unavailable")
            return self._count_here(key)


def _open_storage(url: str) -> "Storage":
    """Return a storage that processes share. Raise `SettingsError` if the URL cannot be used."""
    setting = f"{ENV_PREFIX}RATE_LIMIT_URL"
    with extra("redis", setting):
        from limits.storage import storage_from_string  # noqa: PLC0415 - an extra
    options = REDIS_TIMEOUTS if url.startswith("redis") else {}
    try:
        return cast("Storage", storage_from_string(url, wrap_exceptions=True, **options))
    except Exception as error:
        raise SettingsError(f"{setting} cannot be used: {error}") from error


def _count_in(storage: "Storage", rate: Rate) -> Count:
    from limits import RateLimitItemPerSecond  # noqa: PLC0415 - an extra
    from limits.errors import StorageError  # noqa: PLC0415
    from limits.strategies import FixedWindowRateLimiter  # noqa: PLC0415

    limiter, item = FixedWindowRateLimiter(storage), RateLimitItemPerSecond(*astuple(rate))

    def count(key: str) -> float | None:
        """Count a request in the shared storage."""
        try:
            if limiter.hit(item, key):
                return None
            return limiter.get_window_stats(item, key).reset_time - now().timestamp()
        except StorageError as error:
            raise StorageUnavailable from error

    return count
