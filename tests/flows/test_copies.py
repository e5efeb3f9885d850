"""The copies of keys and revocations in a process: when they are read, and how long that waits."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import event

from itemsapi.problems import GateUnavailable, TokenInvalid
from itemsapi.testing import MovableClock
from itemsapi.tokens.key_set import KeySet
from itemsapi.tokens.revocation import RevocationFeed, session_target
from support.app_factory import Backend
from support.manual_timer import ManualTimer

Build = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")  # the copies do not depend on the database


class HeldLock:
    """A lock that another thread holds; it records how long others would wait for it."""

    def __init__(self) -> None:
        """Start without a wait."""
        self.waits: list[float] = []

    def acquire(self, timeout: float) -> bool:
        """Record the wait, which is in vain."""
        self.waits.append(timeout)
        return False


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """A process whose copies may be a second old; it knows whose users the database is for."""
    backend = make_backend(revocation_lag=timedelta(seconds=1))
    with backend.services.database.transaction() as tx:
        backend.services.database.user_set.claim(tx)
    return backend


@pytest.fixture
def key_set(backend: Backend, timer: ManualTimer) -> KeySet:
    """The copy of the keys, just loaded."""
    backend.services.key_set.snapshot()
    timer.advance(1)
    backend.services.key_set.snapshot()
    return backend.services.key_set


@pytest.fixture
def feed(backend: Backend, timer: ManualTimer) -> RevocationFeed:
    """The copy of the revocations, just read."""
    backend.services.revocation_feed.ensure_fresh()
    return backend.services.revocation_feed


@pytest.fixture
def queries(backend: Backend, key_set: KeySet, feed: RevocationFeed) -> Iterator[list[str]]:
    """The statements that are sent from now on."""
    sent: list[str] = []
    engine = backend.services.database.engine

    def note(*args: object) -> None:
        sent.append(str(args[2]))

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def break_table(backend: Backend, table: str) -> None:
    """Make every read of a table fail."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(f"ALTER TABLE {table} RENAME TO away")


def wait_for_keys(key_set: KeySet, lock: HeldLock) -> list[float]:
    """Read the keys while another thread loads them; return how long that would wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_set, "_lock", lock)
        key_set.snapshot()
    return lock.waits


def wait_for_revocations(feed: RevocationFeed, lock: HeldLock) -> list[float]:
    """Read the feed while another thread reads it; return how long that would wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "_read_lock", lock)
        feed.ensure_fresh()
    return lock.waits


@pytest.mark.parametrize("part", ["key_set", "feed"])
def test_a_copy_is_read_again_after_seven_tenths_of_the_lag(
    key_set: KeySet, feed: RevocationFeed, queries: list[str], timer: ManualTimer, part: str
) -> None:
    """S-066: the rest of the lag is for the query."""
    read = key_set.snapshot if part == "key_set" else feed.ensure_fresh
    timer.advance(0.69)
    read()
    assert queries == []
    timer.advance(0.02)
    read()
    assert len(queries) == 1


def test_nobody_waits_for_keys_that_are_young_enough(key_set: KeySet, timer: ManualTimer) -> None:
    """R-04: one thread loads them, the others use the copy."""
    timer.advance(1.39)
    assert wait_for_keys(key_set, HeldLock()) == [0]


def test_a_request_waits_a_short_time_for_stale_keys(key_set: KeySet, timer: ManualTimer) -> None:
    """S-147: a withdrawn key must be rejected within two seconds."""
    timer.advance(1.41)
    assert wait_for_keys(key_set, HeldLock()) == [0.25]


def test_the_first_requests_wait_for_the_keys(backend: Backend, timer: ManualTimer) -> None:
    """R-04: there is no copy yet; not longer than five seconds."""
    lock = HeldLock()
    with pytest.raises(GateUnavailable):
        wait_for_keys(backend.services.key_set, lock)
    assert lock.waits == [5.0]


def test_nobody_waits_for_keys_that_could_not_be_read(
    backend: Backend, key_set: KeySet, timer: ManualTimer
) -> None:
    """R-04: threads must not queue for a database that is unavailable."""
    break_table(backend, "itemsapi_signing_key")
    timer.advance(2)
    key_set.snapshot()
    timer.advance(2)
    assert wait_for_keys(key_set, HeldLock()) == [0]


def test_keys_are_used_for_a_minute_without_the_database(
    backend: Backend, key_set: KeySet, timer: ManualTimer
) -> None:
    """R-03: then tokens are rejected, and the log says why."""
    break_table(backend, "itemsapi_signing_key")
    timer.advance(60)
    assert key_set.snapshot().verifying
    timer.advance(0.8)
    with pytest.raises(GateUnavailable) as raised:
        key_set.snapshot()
    assert "not read for too long; database: " in raised.value.cause


def test_the_version_of_the_keys_stays_when_they_did_not_change(
    key_set: KeySet, timer: ManualTimer
) -> None:
    """S-023: otherwise each reload would have every token verified again."""
    before = key_set.version
    timer.advance(1)
    key_set.snapshot()
    assert key_set.version == before


def test_a_failed_change_of_keys_is_tried_again_after_half_a_minute(
    make_backend: Build, timer: ManualTimer, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-06: not at every request, which a broken table would slow down."""
    backend = make_backend(revocation_lag=timedelta(seconds=1), key_rotation=timedelta(minutes=5))
    backend.services.key_set.snapshot()
    backend.clock.advance(minutes=6)
    break_table(backend, "itemsapi_audit_event")
    logged = []
    for later in (2, 29, 1.5):
        timer.advance(later)
        backend.services.key_set.snapshot()
        logged.append(capsys.readouterr().err.count("key_upkeep_failed"))
    assert logged == [1, 0, 1]


def test_nobody_waits_for_revocations_within_the_lag(
    feed: RevocationFeed, timer: ManualTimer
) -> None:
    """R-04: one thread reads them, the others use the copy."""
    timer.advance(0.99)
    assert wait_for_revocations(feed, HeldLock()) == [0]


@pytest.mark.parametrize("age", [1, 4.9])
def test_a_request_waits_a_short_time_for_revocations_that_are_older_than_the_lag(
    feed: RevocationFeed, timer: ManualTimer, age: float
) -> None:
    """S-066: as after an idle time; then it uses what there is."""
    timer.advance(age)
    assert wait_for_revocations(feed, HeldLock()) == [0.25]


def test_a_request_waits_longer_for_revocations_that_are_too_old(
    feed: RevocationFeed, timer: ManualTimer
) -> None:
    """S-066: without them it is rejected, and the log says that others wait too."""
    lock = HeldLock()
    timer.advance(5.1)
    with pytest.raises(GateUnavailable) as raised:
        wait_for_revocations(feed, lock)
    assert lock.waits == [5.0]
    assert raised.value.cause == "revocations: not read for too long; others wait too"


def test_nobody_waits_for_revocations_that_could_not_be_read(
    backend: Backend, feed: RevocationFeed, timer: ManualTimer
) -> None:
    """R-04: threads must not queue for a database that is unavailable."""
    break_table(backend, "itemsapi_revocation")
    timer.advance(2)
    feed.ensure_fresh()
    timer.advance(2)
    assert wait_for_revocations(feed, HeldLock()) == [0]


def test_revocations_are_used_for_five_seconds_without_the_database(
    backend: Backend, feed: RevocationFeed, timer: ManualTimer
) -> None:
    """R-03: then tokens are rejected, and the log says why."""
    break_table(backend, "itemsapi_revocation")
    timer.advance(5)
    feed.ensure_fresh()
    timer.advance(0.1)
    with pytest.raises(GateUnavailable) as raised:
        feed.ensure_fresh()
    assert raised.value.cause.startswith("revocations: not read for too long; database: ")


def test_the_oldest_revocation_is_forgotten_when_an_older_one_was_repeated(
    backend: Backend, clock: MovableClock, timer: ManualTimer
) -> None:
    """R-18: the memory is sorted by the time of the latest revocation of a target."""
    database = backend.services.database
    feed = RevocationFeed(
        database, clock, lag=timedelta(0), token_lifetime=timedelta(minutes=58), monotonic=timer
    )
    feed.ensure_fresh()
    for sid, later in (("a", 0), ("b", 0), ("a", 1800)):
        timer.advance(later)
        with database.transaction() as tx:
            feed.revoke(tx, session_target(sid))
        feed.ensure_fresh()
    timer.advance(1801)
    feed.ensure_fresh()
    assert feed.__dict__["_revoked"].keys() == {session_target("a")}


def test_a_revoked_session_stays_rejected_while_the_copy_is_used(
    backend: Backend, feed: RevocationFeed, timer: ManualTimer
) -> None:
    """R-03: also while no newer revocations can be read."""
    with backend.services.database.transaction() as tx:
        feed.revoke(tx, session_target("s"))
    break_table(backend, "itemsapi_revocation")
    timer.advance(4)
    with pytest.raises(TokenInvalid):
        feed.check(sid="s", gen=1, user_id="u", epoch=0)
