"""The limiter of attempts, directly in the database: what counts, and for how long (S-045)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, insert, select, text

from itemsapi.attempt_limits import AttemptCounter, AttemptLimiter, Limit, PendingAttempt
from itemsapi.db import Database
from itemsapi.problems import DatabaseUnavailable, TooManyRequests
from itemsapi.testing import MovableClock
from support.database_faults import failing_database

WINDOW = timedelta(minutes=15)
TWO = Limit(("user and client", "ada", "203.0.113.9"), 2, WINDOW)
ONE_WINDOW = WINDOW.total_seconds()


@pytest.fixture
def limiter(database: Database, clock: MovableClock) -> AttemptLimiter:
    """A limiter on an empty database."""
    return AttemptLimiter(database, clock)


def fail(database: Database, limiter: AttemptLimiter, *limits: Limit) -> list[Limit]:
    """Make an attempt that fails; return the limits that it reached."""
    reservation = limiter.reserve(limits or [TWO])
    with database.transaction() as tx:
        return limiter.fail(tx, reservation)


def count_pending(database: Database) -> int:
    """Return the number of reserved attempts."""
    with database.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(PendingAttempt.core())) or 0)


def wait_of(limiter: AttemptLimiter, *limits: Limit) -> int:
    """Return the seconds to wait for another attempt; 0 if it is reserved at once."""
    try:
        return limiter.reserve(limits or [TWO]).wait_seconds
    except TooManyRequests as error:
        return int(error.headers()["Retry-After"])


def test_attempts_above_the_limit_wait_for_the_end_of_the_window(
    database: Database, limiter: AttemptLimiter, clock: MovableClock
) -> None:
    """Counted from the first failure (S-044, S-155)."""
    fail(database, limiter)
    clock.advance(seconds=100)
    fail(database, limiter)
    assert wait_of(limiter) == ONE_WINDOW - 100


@pytest.mark.parametrize(("seconds", "waits"), [(-1, True), (0, False)])
def test_attempts_are_allowed_when_the_window_is_over(
    database: Database, limiter: AttemptLimiter, clock: MovableClock, seconds: int, waits: bool
) -> None:
    """To the second (S-044)."""
    fail(database, limiter)
    fail(database, limiter)
    clock.advance(seconds=ONE_WINDOW + seconds)
    assert (wait_of(limiter) > 0) is waits


@pytest.mark.parametrize(("seconds", "reached"), [(-1, True), (0, False)])
def test_failures_count_together_until_the_window_is_over(
    database: Database, limiter: AttemptLimiter, clock: MovableClock, seconds: int, reached: bool
) -> None:
    """Then the next one starts a new window (S-044)."""
    fail(database, limiter)
    clock.advance(seconds=ONE_WINDOW + seconds)
    assert bool(fail(database, limiter)) is reached


def test_a_limit_is_reached_once(database: Database, limiter: AttemptLimiter) -> None:
    """By the attempt that uses it up, neither before nor after it (S-149)."""
    three = Limit(TWO.key, 3, WINDOW, enforced=False)
    assert [bool(fail(database, limiter, three)) for _ in range(5)] == [
        False,
        False,
        True,
        False,
        False,
    ]


def test_reserved_attempts_count(limiter: AttemptLimiter) -> None:
    """Parallel attempts do not exceed the limit (S-045)."""
    assert [wait_of(limiter) for _ in range(3)] == [0, 0, 30]


def test_a_failure_and_a_reserved_attempt_count_together(
    database: Database, limiter: AttemptLimiter
) -> None:
    """S-045."""
    fail(database, limiter)
    assert [wait_of(limiter) for _ in range(2)] == [0, 30]


@pytest.mark.parametrize(("seconds", "waits"), [(29, True), (30, False)])
def test_a_reserved_attempt_counts_for_half_a_minute(
    limiter: AttemptLimiter, clock: MovableClock, seconds: int, waits: bool
) -> None:
    """`RESERVATION_LIFETIME`: S-045 while it may be in progress, S-079 afterwards."""
    for _ in range(2):
        limiter.reserve([TWO])
    clock.advance(seconds=seconds)
    assert (wait_of(limiter) > 0) is waits


@pytest.mark.parametrize(("seconds", "waits"), [(30, True), (31, False)])
def test_attempts_reserved_by_a_clock_ahead_count_for_half_a_minute_of_difference(
    limiter: AttemptLimiter, clock: MovableClock, seconds: int, waits: bool
) -> None:
    """Clocks differ by seconds; one that is further ahead was wrong (S-045, R-19)."""
    clock.advance(seconds=seconds)
    for _ in range(2):
        limiter.reserve([TWO])
    clock.advance(seconds=-seconds)
    assert (wait_of(limiter) > 0) is waits


@pytest.mark.parametrize(("seconds", "waits"), [(0, True), (1, False)])
def test_failures_from_the_future_count_up_to_one_window_ahead(
    database: Database, limiter: AttemptLimiter, clock: MovableClock, seconds: int, waits: bool
) -> None:
    """A later window was stored while a clock was wrong, and must not lock users out (R-19)."""
    clock.advance(seconds=ONE_WINDOW + seconds)
    fail(database, limiter)
    fail(database, limiter)
    clock.advance(seconds=-ONE_WINDOW - seconds)
    assert (wait_of(limiter) > 0) is waits


@pytest.mark.parametrize("enforced", [True, False])
def test_only_an_enforced_limit_rejects_an_attempt(
    database: Database, limiter: AttemptLimiter, enforced: bool
) -> None:
    """The caller decides about any other (S-044)."""
    one = Limit(TWO.key, 1, WINDOW, enforced=enforced)
    fail(database, limiter, one)
    wait_of(limiter, one)
    assert count_pending(database) == (0 if enforced else 1)


def test_limits_are_enforced_unless_stated_otherwise() -> None:
    """A forgotten `enforced` must not switch a limit off (S-045)."""
    assert Limit(("user and client",), 1, WINDOW).enforced


def test_no_limit_counts_an_attempt_that_another_one_rejects(
    database: Database, limiter: AttemptLimiter
) -> None:
    """S-079: a rejected attempt costs nothing."""
    other = Limit(("client", "203.0.113.9"), 5, WINDOW)
    fail(database, limiter)
    fail(database, limiter)
    assert wait_of(limiter, TWO, other) > 0
    assert count_pending(database) == 0


def test_the_longest_wait_counts(
    database: Database, limiter: AttemptLimiter, clock: MovableClock
) -> None:
    """An earlier attempt would be rejected by the other limit (S-155)."""
    other = Limit(("client", "203.0.113.9"), 1, WINDOW)
    fail(database, limiter, TWO, other)
    clock.advance(seconds=60)
    fail(database, limiter, TWO)
    long = Limit(TWO.key, 2, 2 * WINDOW)
    assert wait_of(limiter, long, other) == 2 * ONE_WINDOW - 60


def test_an_attempt_ends_for_all_of_its_limits(database: Database, limiter: AttemptLimiter) -> None:
    """Success, failure and release leave no reservation, and keep those of others (S-079)."""
    other = Limit(("client", "203.0.113.9"), 9, WINDOW)
    kept = limiter.reserve([other])
    right = limiter.reserve([TWO, other])
    with database.transaction() as tx:
        limiter.succeed(tx, right)
    fail(database, limiter, TWO, other)
    limiter.release(limiter.reserve([TWO, other]))
    assert count_pending(database) == len(kept.limits)


def test_an_attempt_is_reserved_for_each_of_its_limits(
    database: Database, limiter: AttemptLimiter
) -> None:
    """One row for each key (S-045)."""
    limiter.reserve([TWO, Limit(("client", "203.0.113.9"), 9, WINDOW)])
    assert count_pending(database) == 2


def test_a_counter_without_failures_starts_no_window(
    database: Database, limiter: AttemptLimiter, clock: MovableClock
) -> None:
    """The first attempt locks its key with such a row (S-044)."""
    row = {"key": TWO.digest, "started_at": clock(), "failures": 0}
    with database.transaction() as tx:
        tx.execute(insert(AttemptCounter.core()), row)
    clock.advance(seconds=100)
    fail(database, limiter)
    fail(database, limiter)
    assert wait_of(limiter) == ONE_WINDOW


@pytest.mark.parametrize("pending", [1, 2])
def test_failures_of_an_earlier_window_do_not_count(
    database: Database, limiter: AttemptLimiter, clock: MovableClock, pending: int
) -> None:
    """Nor do they count beside reserved attempts, from the first second on (S-044)."""
    fail(database, limiter)
    clock.advance(seconds=ONE_WINDOW)
    assert [wait_of(limiter) for _ in range(pending)] == [0] * pending


def test_a_limit_that_is_not_enforced_says_how_long_to_wait(
    database: Database, limiter: AttemptLimiter
) -> None:
    """The caller needs it for the response (S-155)."""
    one = Limit(("user", "ada"), 1, WINDOW, enforced=False)
    fail(database, limiter, one)
    assert limiter.reserve([TWO, one]).wait_seconds == ONE_WINDOW


@contextmanager
def without_table(database: Database, name: str) -> Iterator[None]:
    """Rename a table for the duration of a block, so that no statement on it succeeds."""
    for before, after in ((name, "away"), ("away", name)):
        with database.transaction() as tx:
            tx.execute(text(f"ALTER TABLE {before} RENAME TO {after}"))
        if after == "away":
            yield


def test_an_attempt_that_cannot_be_reserved_is_rejected(
    database: Database, limiter: AttemptLimiter
) -> None:
    """The limits fail closed (S-045)."""
    with without_table(database, "itemsapi_pending_attempt"), pytest.raises(DatabaseUnavailable):
        limiter.reserve([TWO])


def test_an_attempt_is_released_later_when_its_commit_was_not_answered(
    database: Database, limiter: AttemptLimiter
) -> None:
    """It was reserved nevertheless (S-079)."""
    with failing_database(database) as steps:
        other = limiter.reserve([TWO])
    limiter.release(other)
    with failing_database(database, steps.count, "answer lost"), pytest.raises(DatabaseUnavailable):
        limiter.reserve([TWO])
    assert count_pending(database) == 1
    limiter.release(limiter.reserve([TWO]))
    assert count_pending(database) == 0


def test_an_attempt_is_released_later_when_the_database_was_away(
    database: Database, limiter: AttemptLimiter
) -> None:
    """With the next transaction of any attempt, however often it failed (S-079)."""
    first = limiter.reserve([TWO])
    with without_table(database, "itemsapi_pending_attempt"):
        for _ in range(2):
            limiter.release(first)
    limiter.release(limiter.reserve([Limit(("client",), 1, WINDOW)]))
    assert count_pending(database) == 0


def test_an_exhausted_key_is_rejected_without_the_database(
    database: Database, limiter: AttemptLimiter
) -> None:
    """A storm of rejected attempts must not delay those who write (S-155)."""
    fail(database, limiter)
    fail(database, limiter)
    wait_of(limiter)
    with failing_database(database) as steps:
        assert wait_of(limiter) == ONE_WINDOW
    assert steps.count == 0


def test_a_reserved_attempt_exhausts_no_key_in_memory(
    database: Database, limiter: AttemptLimiter
) -> None:
    """It may succeed, and then the next one is allowed (S-079)."""
    fail(database, limiter)
    pending = limiter.reserve([TWO])
    assert wait_of(limiter) == 30
    limiter.release(pending)
    assert wait_of(limiter) == 0


def test_a_limit_that_is_not_enforced_is_not_rejected_from_memory(
    database: Database, limiter: AttemptLimiter
) -> None:
    """A known client may still sign in; the attempt is reserved each time (S-044)."""
    one = Limit(("user", "ada"), 1, WINDOW, enforced=False)
    fail(database, limiter, one)
    assert [limiter.reserve([one]).wait_seconds for _ in range(2)] == [ONE_WINDOW] * 2
    assert count_pending(database) == 2


@pytest.mark.parametrize(("seconds", "waits"), [(4, True), (5, False), (-1, False)])
def test_an_exhausted_key_is_read_again_after_five_seconds(
    database: Database, limiter: AttemptLimiter, clock: MovableClock, seconds: int, waits: bool
) -> None:
    """A backup was restored, rows were deleted, or the clock was set back (R-19, R-28)."""
    fail(database, limiter)
    fail(database, limiter)
    wait_of(limiter)
    with database.transaction() as tx:
        tx.execute(delete(AttemptCounter.core()))
    clock.advance(seconds=seconds)
    assert (wait_of(limiter) > 0) is waits


def test_a_key_in_memory_is_allowed_when_its_window_is_over(
    database: Database, limiter: AttemptLimiter, clock: MovableClock
) -> None:
    """To the second, although it was read a moment before (S-044)."""
    fail(database, limiter)
    fail(database, limiter)
    clock.advance(seconds=ONE_WINDOW - 1)
    assert wait_of(limiter) == 1
    clock.advance(seconds=2)
    assert wait_of(limiter) == 0


def test_a_higher_limit_of_an_exhausted_key_is_not_rejected(
    database: Database, limiter: AttemptLimiter
) -> None:
    """The memory is of a key and a limit (S-045)."""
    fail(database, limiter)
    fail(database, limiter)
    wait_of(limiter)
    assert wait_of(limiter, Limit(TWO.key, 3, WINDOW)) == 0
