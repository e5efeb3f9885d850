"""Rates of requests when their shared storage is away: never off (R-08, S-155)."""

import pytest

from itemsapi.problems import TooManyRequests
from itemsapi.rate_limits import RequestRateLimiter
from support.command_line import free_port


@pytest.fixture
def pace() -> RequestRateLimiter:
    """Three requests an hour, counted in a Redis that is not there."""
    return RequestRateLimiter("3/hour", f"redis://127.0.0.1:{free_port()}/0")


def allowed(pace: RequestRateLimiter, user_id: str | None) -> int:
    """Ask until it is too often, ten times at most; return how often it was not."""
    for number in range(10):
        try:
            pace.hit(user_id)
        except TooManyRequests:
            return number
    return 10


@pytest.mark.parametrize("user_id", ["ada", None])
def test_requests_are_limited_without_the_storage(
    pace: RequestRateLimiter, user_id: str | None
) -> None:
    """In this process, from the first request on (R-08)."""
    assert allowed(pace, user_id) == 3


def test_each_caller_has_a_count_of_their_own(pace: RequestRateLimiter) -> None:
    """As with the storage (S-155)."""
    assert [allowed(pace, user_id) for user_id in ("ada", "eve", None, "ada")] == [3, 3, 3, 0]


def test_a_refusal_says_how_long_to_wait(pace: RequestRateLimiter) -> None:
    """Rounded up to whole seconds, an hour at most (S-155)."""
    allowed(pace, "ada")
    with pytest.raises(TooManyRequests) as refusal:
        pace.hit("ada")
    assert refusal.value.headers()["RateLimit-Policy"] == '"caller";q=3;w=3600'
    assert 1 <= int(refusal.value.headers()["Retry-After"]) <= 3600


def test_it_comes_on_again_in_each_process_alone(pace: RequestRateLimiter) -> None:
    """What one process counted the other does not know while the storage is away (R-08)."""
    allowed(pace, "ada")
    assert allowed(RequestRateLimiter("3/hour", f"redis://127.0.0.1:{free_port()}/0"), "ada") == 3
