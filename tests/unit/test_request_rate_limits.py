"""Request rate limits while their shared storage is unavailable: never off (R-08, S-155)."""

import pytest

from itemsapi.problems import TooManyRequests
from itemsapi.rate_limits import RequestRateLimiter
from support.command_line import free_port


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
