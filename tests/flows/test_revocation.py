"""Revocations are effective in every process, whatever clocks and commits do."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete, event, select

from itemsapi import create_app
from itemsapi.clock import new_id
from itemsapi.db import Database
from itemsapi.issuer import sessions
from itemsapi.issuer.issuer import grant_tokens
from itemsapi.issuer.login import LoginRequest, create_session
from itemsapi.problems import GateUnavailable, TokenInvalid
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock
from itemsapi.tokens import revocation
from itemsapi.tokens.revocation import (
    ALL_USERS,
    SESSIONS_EPOCH,
    Epochs,
    Revocation,
    RevocationFeed,
    generation_target,
    load_global_epochs,
    session_target,
    user_target,
)
from support.app_factory import Backend
from support.manual_timer import ManualTimer
from support.race import race
from support.tokens import (
    is_accepted,
    look,
    open_session,
    refresh,
    refreshed,
    revoke_tokens_of_user,
)

Build = Callable[..., Backend]


@pytest.fixture
def ada(here: Backend) -> str:
    """A client of a user who may write items."""
    return here.create_user("ada", "member")


@pytest.fixture
def revocation_feed(database: Database, clock: MovableClock, timer: ManualTimer) -> RevocationFeed:
    """A revocation feed without an application."""
    return RevocationFeed(
        database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1), monotonic=timer
    )


def revoke(revocation_feed: RevocationFeed, database: Database, sid: str) -> int:
    """Write one revocation; return its number."""
    with database.transaction() as tx:
        return revocation_feed.revoke(tx, session_target(sid))


def is_session_accepted(revocation_feed: RevocationFeed, sid: str) -> bool:
    """Return whether a token of a session is accepted."""
    return accepts(revocation_feed, sid=sid)


def accepts(
    revocation_feed: RevocationFeed, *, sid: str = "s", gen: int = 1, epoch: int = 0
) -> bool:
    """Return whether the feed accepts a token with these claims."""
    try:
        revocation_feed.check(sid=sid, gen=gen, user_id="u", epoch=epoch)
    except TokenInvalid:
        return False
    return True


def test_the_first_revocation_reaches_another_process(
    here: Backend, there: Backend, ada: str
) -> None:
    """S-066: the other process had an empty feed."""
    token = open_session(here, ada)
    assert is_accepted(there, token.access_token)
    here.client().post("/auth/logout", json={"refresh_token": token.refresh_token})
    assert not is_accepted(there, token.access_token)


@pytest.mark.parametrize("purged", [0, 1, 2])
def test_no_revocation_is_missed_after_a_purge(
    revocation_feed: RevocationFeed, database: Database, clock: MovableClock, purged: int
) -> None:
    """R-18: the last known row, or all rows, are gone when a new one is written."""
    other = RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1))
    written = [revoke(revocation_feed, database, sid) for sid in ("a", "b")]
    assert not is_session_accepted(other, "b")
    with database.transaction() as tx:
        tx.execute(delete(Revocation).where(Revocation.seq.in_(written[:purged])))
    revoke(revocation_feed, database, "c")
    assert not is_session_accepted(other, "c")


def test_a_new_process_knows_earlier_revocations(
    here: Backend, ada: str, make_backend: Build
) -> None:
    """S-068: none is in memory only."""
    token = open_session(here, ada)
    sessions.end_all_sessions(here.services.issuer, why="test")
    assert not is_accepted(make_backend(look), token.access_token)


def test_nothing_is_revoked_when_the_transaction_fails(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """A process must not apply what the others never see."""

    def failing() -> None:
        with database.transaction() as tx:
            revocation_feed.revoke(tx, session_target("a"))
            raise LookupError

    with pytest.raises(LookupError):
        failing()
    assert is_session_accepted(revocation_feed, "a")


def test_the_copy_has_no_entry_for_sessions_that_were_not_revoked(here: Backend, ada: str) -> None:
    """R-18: its size depends on the number of revocations, not of sessions."""
    tokens = [open_session(here, ada) for _ in range(20)]
    assert is_accepted(here, tokens[-1].access_token)
    assert here.services.revocation_feed.__dict__["_revoked"] == {}


def test_the_copy_forgets_a_revocation_after_a_token_lifetime(
    database: Database, clock: MovableClock
) -> None:
    """R-18: memory is limited to the revocations of one token lifetime."""
    revocation_feed = RevocationFeed(
        database, clock, lag=timedelta(0), token_lifetime=timedelta(minutes=-3)
    )
    revoke(revocation_feed, database, "a")
    assert is_session_accepted(revocation_feed, "b")
    assert is_session_accepted(revocation_feed, "a")


def test_the_copy_keeps_a_revocation_for_a_token_lifetime_and_two_minutes(
    revocation_feed: RevocationFeed, database: Database, timer: ManualTimer
) -> None:
    """R-10: the clock of the host that created the token may be ahead."""
    revoke(revocation_feed, database, "a")
    passing = []
    for later in (0, 3600 + 119, 2):
        timer.advance(later)
        passing.append(is_session_accepted(revocation_feed, "a"))
    assert passing == [False, False, True]


def test_a_complete_copy_reads_newer_rows_only(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """R-18: known rows are not read again, even thousands of them."""
    revoke(revocation_feed, database, "a")
    revocation_feed.ensure_fresh()
    asked: list[object] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    revocation_feed.ensure_fresh()
    assert len(asked) == 1


def test_a_new_process_reads_no_old_revocations(
    revocation_feed: RevocationFeed, database: Database, clock: MovableClock
) -> None:
    """R-18."""
    revoke(revocation_feed, database, "old")
    clock.advance(hours=4)
    revoke(revocation_feed, database, "new")
    fresh = RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1))
    assert (is_session_accepted(fresh, "old"), is_session_accepted(fresh, "new")) == (True, False)


def test_a_revocation_separates_tokens_of_the_same_second(here: Backend, ada: str) -> None:
    """S-183: roles change several times within a second, with a refresh between each."""
    token = open_session(here, ada).refresh_token
    earlier: list[str] = []
    for _ in range(5):
        revoke_tokens_of_user(here, "ada")
        made = refreshed(here, token)
        assert is_accepted(here, made["access_token"])
        assert not any(is_accepted(here, old) for old in earlier)
        earlier, token = [*earlier, made["access_token"]], made["refresh_token"]


def test_an_older_revocation_does_not_overwrite_a_newer_one(
    database: Database, clock: MovableClock
) -> None:
    """S-183: a thread that reads the feed can be overtaken by one that writes."""
    revocation_feed = RevocationFeed(
        database, clock, lag=timedelta(hours=1), token_lifetime=timedelta(hours=1)
    )
    revocation_feed.ensure_fresh()
    with database.transaction() as tx:
        older = revocation_feed.revoke(tx, user_target("u"))
    with database.transaction() as tx:
        newer = revocation_feed.revoke(tx, user_target("u"))
    revocation_feed._remember({user_target("u"): older})  # noqa: SLF001 - what the slow thread does last
    assert [accepts(revocation_feed, epoch=epoch) for epoch in (older, newer)] == [False, True]


def test_one_generation_is_revoked_and_the_others_stay_valid(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """S-073: the superseded ones of a session."""
    with database.transaction() as tx:
        revocation_feed.revoke(tx, generation_target("s", 2))
    assert [accepts(revocation_feed, gen=gen) for gen in (1, 2, 3, 22)] == [
        True,
        False,
        True,
        True,
    ]


def test_a_seq_is_never_assigned_twice(
    revocation_feed: RevocationFeed, database: Database, clock: MovableClock
) -> None:
    """R-28: not when the clock was set back, nor when rows are gone."""
    first = revoke(revocation_feed, database, "a")
    clock.advance(hours=-1)
    assert revoke(revocation_feed, database, "b") == first + 1
    with database.transaction() as tx:
        tx.execute(delete(Revocation))
    clock.advance(hours=2)
    assert revoke(revocation_feed, database, "c") > first + 1


@pytest.mark.parametrize("age", [60, 600])
@pytest.mark.parametrize("behind", [1800, 3600])
def test_a_new_process_reads_a_backdated_row(
    revocation_feed: RevocationFeed,
    database: Database,
    clock: MovableClock,
    behind: float,
    age: float,
) -> None:
    """S-112, R-10: the first row for a long time, by a host whose clock is behind."""
    wrong = MovableClock()
    wrong.current = clock() - timedelta(seconds=behind)
    revoke(
        RevocationFeed(database, wrong, lag=timedelta(0), token_lifetime=timedelta(hours=1)),
        database,
        "a",
    )
    clock.advance(seconds=age)
    revoke(revocation_feed, database, "later")
    clock.advance(seconds=60)
    assert not is_session_accepted(
        RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1)), "a"
    )


@pytest.mark.parametrize("hours", [-3, -1, 0, 1])
def test_a_new_process_reads_rows_of_a_host_with_a_wrong_clock(
    revocation_feed: RevocationFeed, database: Database, clock: MovableClock, hours: float
) -> None:
    """S-112, R-10: alone in the feed, and after a row with the right time."""
    revoke(revocation_feed, database, "before")
    wrong = MovableClock()
    wrong.current = clock() + timedelta(hours=hours)
    revoke(
        RevocationFeed(database, wrong, lag=timedelta(0), token_lifetime=timedelta(hours=1)),
        database,
        "a",
    )
    revoke(revocation_feed, database, "after")
    fresh = RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1))
    assert [is_session_accepted(fresh, sid) for sid in ("before", "a", "after")] == [False] * 3


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_new_process_reads_the_only_row_whatever_its_time(
    database: Database, clock: MovableClock, hours: float
) -> None:
    """S-112, R-10: the operator's host alone has a wrong clock, and ends one session."""
    wrong = MovableClock()
    wrong.current = clock() + timedelta(hours=hours)
    revoke(
        RevocationFeed(database, wrong, lag=timedelta(0), token_lifetime=timedelta(hours=1)),
        database,
        "a",
    )
    assert not is_session_accepted(
        RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1)), "a"
    )


def test_the_age_of_a_copy_starts_with_its_query(
    revocation_feed: RevocationFeed, database: Database, timer: ManualTimer
) -> None:
    """R-09: rows written while the query runs are not in the copy."""
    event.listen(database.engine, "before_cursor_execute", lambda *_: timer.advance(1))
    revocation_feed.ensure_fresh()
    assert revocation_feed.age >= 1


def test_a_session_between_two_mass_revocations_of_one_second_ends(here: Backend, ada: str) -> None:
    """R-19: the second one ends it; sessions that begin afterwards stay."""
    sessions.end_all_sessions(here.services.issuer, why="test")
    between = open_session(here, ada)
    sessions.end_all_sessions(here.services.issuer, why="test")
    after = open_session(here, ada)
    assert (
        is_accepted(here, between.access_token),
        refresh(here, between.refresh_token).status_code,
    ) == (False, 401)
    assert (
        is_accepted(here, after.access_token),
        refresh(here, after.refresh_token).status_code,
    ) == (
        True,
        200,
    )


@pytest.fixture
def skewed(settings: Settings, clock: MovableClock) -> Iterator[Callable[[float], Backend]]:
    """Build processes on hosts whose clocks differ by some seconds."""
    built: list[Backend] = []

    def make(seconds: float) -> Backend:
        ahead = MovableClock()
        ahead.current = clock() + timedelta(seconds=seconds)
        app = create_app(settings, blueprints=[look], clock=ahead)
        built.append(Backend(app, app.extensions[EXTENSION], ahead))
        return built[-1]

    yield make
    for backend in built:
        backend.services.database.dispose()


@pytest.mark.parametrize("seconds", [-5, -1, 1, 5])
def test_a_revocation_applies_to_earlier_tokens_of_a_host_with_another_clock(
    here: Backend, ada: str, skewed: Callable[[float], Backend], seconds: float
) -> None:
    """R-10: clocks differ by up to five seconds."""
    other = skewed(seconds)
    token = open_session(other, ada).access_token
    revoke_tokens_of_user(here, "ada")
    assert not is_accepted(here, token)


@pytest.mark.parametrize("seconds", [-30, -5, 5, 30])
def test_a_revocation_spares_later_tokens_of_a_host_with_another_clock(
    here: Backend, ada: str, skewed: Callable[[float], Backend], seconds: float
) -> None:
    """R-10: even if its clock is behind."""
    other = skewed(seconds)
    revoke_tokens_of_user(here, "ada")
    token = open_session(other, ada).access_token
    assert is_accepted(other, token)
    assert is_accepted(here, token)


def test_a_token_created_late_is_revoked_with_its_scopes(
    here: Backend, ada: str, clock: MovableClock
) -> None:
    """S-183: a process paused for a minute between loading the scopes and creating the token."""
    issuer = here.services.issuer
    with issuer.users.transaction(ada) as change:
        assert change.user is not None
        opened = create_session(issuer, change, change.user, LoginRequest("", ""))
    revoke_tokens_of_user(here, "ada")
    clock.advance(minutes=1)
    with here.app.app_context():
        assert not is_accepted(here, grant_tokens(issuer, *opened).access_token)


@pytest.fixture
def unreadable_feed(clock: MovableClock, tmp_path: Path) -> Iterator[RevocationFeed]:
    """A feed whose database is unavailable."""
    database = Database(f"sqlite:///{tmp_path}/no/such.db")
    yield RevocationFeed(
        database, clock, lag=timedelta(seconds=1), token_lifetime=timedelta(hours=1)
    )
    database.dispose()


def test_tokens_get_503_when_the_feed_was_never_read(unreadable_feed: RevocationFeed) -> None:
    """R-03: a process that starts now knows no revocation."""
    with pytest.raises(GateUnavailable):
        is_session_accepted(unreadable_feed, "a")


def test_no_thread_waits_for_a_feed_whose_last_read_failed(
    unreadable_feed: RevocationFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-03, R-04: threads must not queue for a database that does not respond."""
    monkeypatch.setattr(revocation, "MAX_FEED_AGE_SECONDS", 1000.0)  # for which they would wait

    def is_refused() -> bool:
        with pytest.raises(GateUnavailable):
            is_session_accepted(unreadable_feed, "a")
        return True

    assert is_refused()
    with ThreadPoolExecutor(20) as pool:
        with unreadable_feed._read_lock:  # noqa: SLF001 - a query that gets no response
            waiting = wait([pool.submit(is_refused) for _ in range(20)], timeout=60).not_done
        assert waiting == set()


def test_two_transactions_that_end_the_same_sessions_do_not_deadlock(
    here: Backend, ada: str
) -> None:
    """They lock in one order: sign-outs, and an operator's end of all sessions, at once."""
    issuer = here.services.issuer
    for _ in range(5):
        tokens = [open_session(here, ada).refresh_token for _ in range(4)]
        works: list[Callable[[], object]] = [
            partial(sessions.logout, issuer, token, delivery="body") for token in tokens
        ]
        works += [
            partial(sessions.end_other_sessions, issuer, ada, keep=None, why="test", caller_id=ada)
        ] * 2
        assert len(race(*works)) == 6


def test_seq_is_the_order_of_commits(here: Backend, database: Database) -> None:
    """No reader sees a later row before an earlier one, however writers overlap."""
    revocation_feed = here.services.revocation_feed
    seen: list[list[int]] = []

    def write() -> None:
        for _ in range(5):
            revoke(revocation_feed, database, new_id()[-12:])
            with database.reading() as connection:
                seen.append(
                    list(connection.scalars(select(Revocation.seq).order_by(Revocation.seq)))
                )

    race(*[write] * 8)
    full = max(seen, key=len)
    assert all(rows == full[: len(rows)] for rows in seen)
    assert len(full) == 40


def epochs(database: Database) -> tuple[Epochs, int]:
    """Return the epochs of all tokens and sessions, in both ways of reading them."""
    with database.reading() as connection:
        return load_global_epochs(connection), connection.scalar(select(SESSIONS_EPOCH)) or 0


def test_there_is_no_epoch_before_the_first_revocation_of_all_users(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """S-183: those of one user, even of the sessions, do not count for the others."""
    with database.transaction() as tx:
        revocation_feed.revoke(tx, user_target("u"), sessions=True)
    assert epochs(database) == (Epochs(0, 0), 0)


def test_the_tokens_of_all_users_are_revoked_without_their_sessions(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """S-183: as when a role changes; the sessions end only if that is said."""
    with database.transaction() as tx:
        seq = revocation_feed.revoke(tx, ALL_USERS)
    assert epochs(database) == (Epochs(seq, 0), 0)


def test_the_latest_revocation_of_all_sessions_is_their_epoch(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """R-19: later ones of tokens, and of other users, do not change it."""
    seqs = []
    for target, of_sessions in ((ALL_USERS, True), (ALL_USERS, False), (user_target("u"), True)):
        with database.transaction() as tx:
            seqs.append(revocation_feed.revoke(tx, target, sessions=of_sessions))
    assert epochs(database) == (Epochs(seqs[1], seqs[0]), seqs[0])


def test_revocations_of_one_transaction_have_consecutive_numbers(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """S-112: the last one is the epoch of what follows."""
    with database.transaction() as tx:
        last = revocation_feed.revoke(tx, session_target("a"), session_target("b"))
    with database.reading() as connection:
        assert connection.scalars(select(Revocation.seq)).all() == [last - 1, last]
