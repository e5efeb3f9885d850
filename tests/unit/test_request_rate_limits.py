"""Request rate limits while their shared storage is unavailable: never off (R-08, S-155)."""

import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from itemsapi import rate_limits
from itemsapi.problems import TooManyRequests
from itemsapi.rate_limits import (
    MemoryWindows,
    Rate,
    RequestRateLimiter,
    StorageUnavailable,
    _open_storage,
)
from itemsapi.settings_parsing import parse_rate
from support.free_port import free_port
from support.manual_timer import ManualTimer


@pytest.fixture
def limiter() -> RequestRateLimiter:
    """Three requests an hour, counted in a Redis that does not run."""
    return RequestRateLimiter("3/hour", f"redis://127.0.0.1:{free_port()}/0")


def count_allowed(limiter: RequestRateLimiter, user_id: str | None) -> int:
    """Make requests until one is rejected, ten at most; return how many were allowed."""
    for number in range(10):
        try:
            limiter.hit(user_id)
        except TooManyRequests:
            return number
    return 10


@pytest.mark.parametrize("user_id", ["ada", None])
def test_requests_are_limited_without_the_storage(
    limiter: RequestRateLimiter, user_id: str | None
) -> None:
    """In this process, from the first request on (R-08)."""
    assert count_allowed(limiter, user_id) == 3


def test_each_caller_has_a_limit_of_their_own(limiter: RequestRateLimiter) -> None:
    """As with the storage (S-155)."""
    assert [count_allowed(limiter, user_id) for user_id in ("ada", "eve", None, "ada")] == [
        3,
        3,
        3,
        0,
    ]


def test_a_rejected_request_gets_retry_after(limiter: RequestRateLimiter) -> None:
    """Rounded up to whole seconds, an hour at most (S-155)."""
    count_allowed(limiter, "ada")
    with pytest.raises(TooManyRequests) as refusal:
        limiter.hit("ada")
    assert refusal.value.headers()["RateLimit-Policy"] == '"caller";q=3;w=3600'
    assert 1 <= int(refusal.value.headers()["Retry-After"]) <= 3600


def test_each_process_counts_alone_without_the_storage(limiter: RequestRateLimiter) -> None:
    """One process does not know the counts of another (R-08)."""
    count_allowed(limiter, "ada")
    assert (
        count_allowed(RequestRateLimiter("3/hour", f"redis://127.0.0.1:{free_port()}/0"), "ada")
        == 3
    )


@pytest.mark.parametrize("name", ["socket_timeout", "socket_connect_timeout"])
def test_redis_has_a_fifth_of_a_second_to_respond(name: str) -> None:
    """`REDIS_TIMEOUTS`, as the guide says (S-199): every request waits for it."""
    storage: Any = _open_storage("redis://127.0.0.1:1/0")
    assert storage.storage.connection_pool.connection_kwargs[name] == 0.2


class StorageAway:
    """A storage that never responds, and counts how often it was asked."""

    asked = 0

    def count(self, key: str) -> float | None:
        """Count and fail."""
        self.asked += 1
        raise StorageUnavailable(key)


@pytest.fixture
def away(limiter: RequestRateLimiter) -> StorageAway:
    """The storage of the limiter, which is away."""
    storage = StorageAway()
    limiter._count_shared = storage.count  # noqa: SLF001 - in place of Redis
    return storage


@pytest.mark.parametrize(("seconds", "asked"), [(0.0, 1), (4.9, 1), (5.1, 2)])
def test_a_storage_that_did_not_respond_is_asked_again_after_five_seconds(
    limiter: RequestRateLimiter,
    away: StorageAway,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    asked: int,
) -> None:
    """`REDIS_RETRY_SECONDS`: until then no request waits for it (S-199, R-08)."""
    for now in (1000.0, 1000.0 + seconds):
        monkeypatch.setattr(rate_limits, "time", SimpleNamespace(monotonic=lambda now=now: now))
        limiter.hit("ada")
    assert away.asked == asked


def test_no_request_is_limited_without_a_rate() -> None:
    """The setting is `off`."""
    assert count_allowed(RequestRateLimiter(None, "memory://"), "ada") == 10


def test_requests_are_limited_in_memory() -> None:
    """The default (S-155)."""
    assert count_allowed(RequestRateLimiter("3/hour", "memory://"), "ada") == 3


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("600/minute", Rate(600, 60)),
        ("5 per 10 seconds", Rate(5, 10)),
        ("3/2 hours", Rate(3, 7200)),
        ("1/day", Rate(1, 86400)),
    ],
)
def test_a_rate_has_one_unit_and_may_have_a_multiple(text: str, rate: Rate) -> None:
    """In every spelling that the setting accepts."""
    accepted = parse_rate(text)
    assert accepted is not None
    assert Rate.parse(accepted) == rate


@pytest.fixture
def timer() -> ManualTimer:
    """A timer that the test moves."""
    return ManualTimer()


@pytest.fixture
def windows(timer: ManualTimer) -> MemoryWindows:
    """Two requests in ten seconds."""
    return MemoryWindows(Rate(2, 10), timer)


def test_a_window_begins_with_the_first_request(windows: MemoryWindows, timer: ManualTimer) -> None:
    """The rejected request learns how much of the window is left (S-155)."""
    windows.count("ada")
    timer.advance(4)
    windows.count("ada")
    assert windows.count("ada") == pytest.approx(6)


def test_a_new_window_begins_when_the_old_one_is_over(
    windows: MemoryWindows, timer: ManualTimer
) -> None:
    """With all of its requests."""
    windows.count("ada")
    windows.count("ada")
    timer.advance(10)
    assert [windows.count("ada") for _ in range(3)] == [None, None, 10]


def test_windows_that_are_over_are_forgotten(windows: MemoryWindows, timer: ManualTimer) -> None:
    """Otherwise each address that ever called would take memory."""
    for number in range(100):
        windows.count(f"a:{number}")
    timer.advance(10)
    windows.count("ada")
    assert len(windows) == 1


def test_a_rejected_request_does_not_prolong_the_window(
    windows: MemoryWindows, timer: ManualTimer
) -> None:
    """Who goes on trying is not locked out for longer."""
    for _ in range(9):
        windows.count("ada")
        timer.advance(1)
    timer.advance(1)
    assert windows.count("ada") is None


class InterruptedKey(str):
    """A key at whose every use other threads get their turn."""

    __slots__ = ()

    def __hash__(self) -> int:
        """Return the hash after the other threads."""
        os.sched_yield()
        return super().__hash__()


def test_parallel_requests_are_all_counted() -> None:
    """S-195: of many requests in several threads exactly the limit passes."""
    windows = MemoryWindows(Rate(100, 3600))
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(windows.count, [InterruptedKey("ada")] * 200))
    assert waits.count(None) == 100
