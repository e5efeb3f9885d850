"""Rate limits of requests, counted in memory or in Redis."""

import math
import time
from typing import cast

import limits
from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter, RateLimiter

from itemsapi.clock import now
from itemsapi.observability.context import request_context
from itemsapi.observability.logging import log
from itemsapi.problems import TooManyRequests
from itemsapi.settings import SettingsError
from itemsapi.web_addresses import client_key

MEMORY_URL = "memory://"
REDIS_TIMEOUTS = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}  # seconds
REDIS_RETRY_SECONDS = 5.0  # after a failure


class RequestRateLimiter:
    """Limits the requests of each user or client address.

    While Redis is unavailable, this process counts on its own: limits are never off (R-08).
    """

    def __init__(self, rate: str | None, url: str) -> None:
        """Take a rate in the notation of the `limits` library, or None for no limit."""
        self._rate = limits.parse(rate) if rate else None
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._shared = self._local if url == MEMORY_URL else _open_limiter(url)
        self._storage_retry_at = float("-inf")

    def hit(self, user_id: str | None) -> None:
        """Count a request of a user or client address. Raise `TooManyRequests` above the limit."""
        if self._rate is None:
            return
        key = f"u:{user_id}" if user_id else f"a:{client_key(request_context().address)}"
        if time.monotonic() < self._storage_retry_at:
            _count(self._local, self._rate, key)
            return
        try:
            _count(self._shared, self._rate, key)
        except StorageError:
            self._storage_retry_at = time.monotonic() + REDIS_RETRY_SECONDS
            log.warning("rate_limit_storage_unavailable")
            _count(self._local, self._rate, key)


def _count(limiter: RateLimiter, rate: RateLimitItem, key: str) -> None:
    if not limiter.hit(rate, key):
        reset = limiter.get_window_stats(rate, key).reset_time
        wait = math.ceil(reset - now().timestamp())
        raise TooManyRequests(wait, policy=(rate.amount, rate.get_expiry()))


def _open_limiter(url: str) -> RateLimiter:
    """Return a limiter on shared storage. Raise `SettingsError` if the URL is wrong."""
    options = REDIS_TIMEOUTS if url.startswith("redis") else {}
    try:
        storage = storage_from_string(url, wrap_exceptions=True, **options)
    except Exception as error:
        raise SettingsError(f"ITEMSAPI_RATE_LIMIT_URL cannot be used: {error}") from error
    return FixedWindowRateLimiter(cast("Storage", storage))
