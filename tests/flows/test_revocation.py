"""What is taken back is refused in every process, whatever clocks and commits do."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete, event, select
from support.race import race

from itemsapi import create_app
from itemsapi.accounts import repository
from itemsapi.clock import new_id
from itemsapi.db import Database
from itemsapi.issuer import sessions
from itemsapi.issuer.grants import grant_tokens
from itemsapi.issuer.login import LoginRequest, create_session
from itemsapi.problems import GateUnavailable, TokenInvalid
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.tokens import revocation
from itemsapi.tokens.revocation import (
    Revocation,
    RevocationFeed,
    generation_target,
    session_target,
    user_target,
)
from support.app_factory import Backend, MovingClock
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
def here(make_backend: Build) -> Backend:
    """A process that asks the feed at every request."""
    return make_backend(look, revocation_lag=timedelta(0))


@pytest.fixture
def there(make_backend: Build, here: Backend) -> Backend:
    """Another process on the same database."""
    return make_backend(look, revocation_lag=timedelta(0))


@pytest.fixture
def ada(here: Backend) -> str:
    """A user who may keep items."""
    return here.create_user("ada", "member")


@pytest.fixture
def revocation_feed(database: Database, clock: MovingClock) -> RevocationFeed:
    """A process's copy of the feed, apart from any application."""
    return RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1))


def take_back(revocation_feed: RevocationFeed, database: Database, sid: str) -> int:
    """Write one revocation; return its number."""
    with database.transaction() as tx:
        return revocation_feed.revoke(tx, session_target(sid))


def passes(revocation_feed: RevocationFeed, sid: str) -> bool:
    """Tell whether a token of a session passes."""
    return lets_pass(revocation_feed, sid=sid)


def lets_pass(
    revocation_feed: RevocationFeed, *, sid: str = "s", gen: int = 1, epoch: int = 0
) -> bool:
    """Tell whether a token with such claims passes."""
    try:
        revocation_feed.check(sid=sid, gen=gen, user_id="u", epoch=epoch)
    except TokenInvalid:
        return False
    return True


def test_the_very_first_revocation_is_heard_elsewhere(
    here: Backend, there: Backend, ada: str
) -> None:
    """S-066: the other process had an empty feed."""
    token = open_session(here, ada)
    assert is_accepted(there, token.access_token)
    here.client().post("/auth/logout", json={"refresh_token": token.refresh_token})
    assert not is_accepted(there, token.access_token)


@pytest.mark.parametrize("purged", [0, 1, 2])
def test_nothing_is_missed_when_rows_were_purged_in_between(
    revocation_feed: RevocationFeed, database: Database, clock: MovingClock, purged: int
) -> None:
    """R-18: the copy was at row two; up to that, or all, is gone when row three comes."""
    other = RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1))
    written = [take_back(revocation_feed, database, sid) for sid in ("a", "b")]
    assert not passes(other, "b")
    with database.transaction() as tx:
        tx.execute(delete(Revocation).where(Revocation.seq.in_(written[:purged])))
    take_back(revocation_feed, database, "c")
    assert not passes(other, "c")


def test_a_new_process_knows_what_was_taken_back_before_it_started(
    here: Backend, ada: str, make_backend: Build
) -> None:
    """S-068: nothing is in memory alone."""
    token = open_session(here, ada)
    sessions.end_all_sessions(here.services.issuer, why="test")
    assert not is_accepted(make_backend(look), token.access_token)


def test_nothing_is_taken_back_when_the_transaction_fails(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """A process must not know what no other will ever hear of."""

    def failing() -> None:
        with database.transaction() as tx:
            revocation_feed.revoke(tx, session_target("a"))
            raise LookupError

    with pytest.raises(LookupError):
        failing()
    assert passes(revocation_feed, "a")


def test_a_copy_costs_nothing_for_sessions_that_were_not_taken_back(
    here: Backend, ada: str
) -> None:
    """R-18: its size is that of what was taken back, whatever the number of sessions."""
    tokens = [open_session(here, ada) for _ in range(20)]
    assert is_accepted(here, tokens[-1].access_token)
    assert here.services.revocation_feed.__dict__["_revoked"] == {}


def test_the_copy_forgets_what_no_living_token_can_meet(
    database: Database, clock: MovingClock
) -> None:
    """R-18: memory is bounded by what was taken back within one life of a token."""
    revocation_feed = RevocationFeed(
        database, clock, lag=timedelta(0), token_lifetime=timedelta(minutes=-3)
    )
    take_back(revocation_feed, database, "a")
    assert passes(revocation_feed, "b")
    assert passes(revocation_feed, "a")


def test_the_copy_keeps_a_revocation_until_two_minutes_after_a_life(
    revocation_feed: RevocationFeed, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-10: the clock of the host that made the token may be ahead."""
    seconds = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    take_back(revocation_feed, database, "a")
    passing = []
    for later in (0, 3600 + 119, 2):
        seconds[0] += later
        passing.append(passes(revocation_feed, "a"))
    assert passing == [False, False, True]


def test_a_copy_that_is_whole_asks_for_newer_rows_alone(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """R-18: what a process knows it does not read again, be it thousands of rows."""
    take_back(revocation_feed, database, "a")
    revocation_feed.ensure_fresh()
    asked: list[object] = []
    event.listen(database.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    revocation_feed.ensure_fresh()
    assert len(asked) == 1


def test_the_copy_of_a_new_process_holds_no_more_than_one_life(
    revocation_feed: RevocationFeed, database: Database, clock: MovingClock
) -> None:
    """R-18: old rows are not even read."""
    take_back(revocation_feed, database, "old")
    clock.advance(hours=4)
    take_back(revocation_feed, database, "new")
    fresh = RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1))
    assert (passes(fresh, "old"), passes(fresh, "new")) == (True, False)


def test_fresh_tokens_are_good_and_older_ones_not_after_a_recall_in_the_same_second(
    here: Backend, ada: str
) -> None:
    """S-183: as often as roles change within a second, with a refresh between each."""
    token = open_session(here, ada).refresh_token
    earlier: list[str] = []
    for _ in range(5):
        revoke_tokens_of_user(here, "ada")
        made = refreshed(here, token)
        assert is_accepted(here, made["access_token"])
        assert not any(is_accepted(here, old) for old in earlier)
        earlier, token = [*earlier, made["access_token"]], made["refresh_token"]


def test_an_older_revocation_does_not_overwrite_a_newer_one(
    database: Database, clock: MovingClock
) -> None:
    """S-183: the thread that asked the database may be overtaken by one that wrote."""
    revocation_feed = RevocationFeed(
        database, clock, lag=timedelta(hours=1), token_lifetime=timedelta(hours=1)
    )
    revocation_feed.ensure_fresh()
    with database.transaction() as tx:
        older = revocation_feed.revoke(tx, user_target("u"))
    with database.transaction() as tx:
        newer = revocation_feed.revoke(tx, user_target("u"))
    revocation_feed._remember({user_target("u"): older})  # noqa: SLF001 - what the slow thread does last
    assert [lets_pass(revocation_feed, epoch=epoch) for epoch in (older, newer)] == [False, True]


def test_one_generation_is_taken_back_and_the_others_go_on(
    revocation_feed: RevocationFeed, database: Database
) -> None:
    """S-073: those of a session that were superseded."""
    with database.transaction() as tx:
        revocation_feed.revoke(tx, generation_target("s", 2))
    assert [lets_pass(revocation_feed, gen=gen) for gen in (1, 2, 3, 22)] == [
        True,
        False,
        True,
        True,
    ]


def test_numbers_are_never_given_out_again(
    revocation_feed: RevocationFeed, database: Database, clock: MovingClock
) -> None:
    """R-28: not when the clock was set back, nor when rows are gone."""
    first = take_back(revocation_feed, database, "a")
    clock.advance(hours=-1)
    assert take_back(revocation_feed, database, "b") == first + 1
    with database.transaction() as tx:
        tx.execute(delete(Revocation))
    clock.advance(hours=2)
    assert take_back(revocation_feed, database, "c") > first + 1


@pytest.mark.parametrize("age", [60, 600])
@pytest.mark.parametrize("behind", [1800, 3600])
def test_a_new_process_hears_of_a_row_that_was_dated_back(
    revocation_feed: RevocationFeed,
    database: Database,
    clock: MovingClock,
    behind: float,
    age: float,
) -> None:
    """S-112, R-10: the first row for a long time is of a host whose clock is behind."""
    wrong = MovingClock()
    wrong.current = clock() - timedelta(seconds=behind)
    take_back(
        RevocationFeed(database, wrong, lag=timedelta(0), token_lifetime=timedelta(hours=1)),
        database,
        "a",
    )
    clock.advance(seconds=age)
    take_back(revocation_feed, database, "later")
    clock.advance(seconds=60)
    assert not passes(
        RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1)), "a"
    )


@pytest.mark.parametrize("hours", [-3, -1, 0, 1])
def test_a_new_process_hears_of_what_a_host_with_a_wrong_clock_took_back(
    revocation_feed: RevocationFeed, database: Database, clock: MovingClock, hours: float
) -> None:
    """S-112, R-10: with nothing else in the feed, and after what a right clock has written."""
    take_back(revocation_feed, database, "before")
    wrong = MovingClock()
    wrong.current = clock() + timedelta(hours=hours)
    take_back(
        RevocationFeed(database, wrong, lag=timedelta(0), token_lifetime=timedelta(hours=1)),
        database,
        "a",
    )
    take_back(revocation_feed, database, "after")
    fresh = RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1))
    assert [passes(fresh, sid) for sid in ("before", "a", "after")] == [False] * 3


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_new_process_hears_of_the_only_row_whatever_the_clock_said(
    database: Database, clock: MovingClock, hours: float
) -> None:
    """S-112, R-10: the operator's host alone has a wrong clock, and ends one session."""
    wrong = MovingClock()
    wrong.current = clock() + timedelta(hours=hours)
    take_back(
        RevocationFeed(database, wrong, lag=timedelta(0), token_lifetime=timedelta(hours=1)),
        database,
        "a",
    )
    assert not passes(
        RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1)), "a"
    )


def test_a_copy_is_as_old_as_its_question(
    database: Database, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-09: what was written while the answer was on its way is not in it."""
    revocation_feed, seconds = (
        RevocationFeed(database, clock, lag=timedelta(0), token_lifetime=timedelta(hours=1)),
        [100.0],
    )
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])

    def slow(*_: object) -> None:
        seconds[0] += 1

    event.listen(database.engine, "before_cursor_execute", slow)
    revocation_feed.ensure_fresh()
    assert revocation_feed.age >= 1


def test_a_session_begun_between_two_mass_revocations_of_one_second_is_over(
    here: Backend, ada: str
) -> None:
    """R-19: the second one means it too; and whoever signs in afterwards is in."""
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
def skewed(settings: Settings, clock: MovingClock) -> Iterator[Callable[[float], Backend]]:
    """Build processes on hosts whose clocks differ by some seconds."""
    built: list[Backend] = []

    def make(seconds: float) -> Backend:
        ahead = MovingClock()
        ahead.current = clock() + timedelta(seconds=seconds)
        app = create_app(settings, blueprints=[look], clock=ahead)
        built.append(Backend(app, app.extensions[EXTENSION], ahead))
        return built[-1]

    yield make
    for backend in built:
        backend.services.database.dispose()


@pytest.mark.parametrize("seconds", [-5, -1, 1, 5])
def test_a_recall_hits_what_a_host_with_another_clock_minted_before(
    here: Backend, ada: str, skewed: Callable[[float], Backend], seconds: float
) -> None:
    """R-10: hosts differ by up to five seconds; what was minted before is refused all the same."""
    other = skewed(seconds)
    token = open_session(other, ada).access_token
    revoke_tokens_of_user(here, "ada")
    assert not is_accepted(here, token)


@pytest.mark.parametrize("seconds", [-30, -5, 5, 30])
def test_a_recall_spares_what_a_host_with_another_clock_mints_afterwards(
    here: Backend, ada: str, skewed: Callable[[float], Backend], seconds: float
) -> None:
    """R-10: nobody is refused for ever, or at all, because a clock is behind."""
    other = skewed(seconds)
    revoke_tokens_of_user(here, "ada")
    token = open_session(other, ada).access_token
    assert is_accepted(other, token)
    assert is_accepted(here, token)


def test_a_token_minted_late_does_not_outlive_a_recall_that_came_before(
    here: Backend, ada: str, clock: MovingClock
) -> None:
    """S-183: a process stood still for a minute between looking up the scopes and minting."""
    issuer = here.services.issuer
    with issuer.database.transaction() as tx:
        user = repository.find_by_id(tx, ada, lock=True)
        assert user is not None
        opened = create_session(issuer, tx, user, LoginRequest("", ""))
    revoke_tokens_of_user(here, "ada")
    clock.advance(minutes=1)
    with here.app.app_context():
        assert not is_accepted(here, grant_tokens(issuer, *opened).access_token)


@pytest.fixture
def deaf(clock: MovingClock, tmp_path: Path) -> Iterator[RevocationFeed]:
    """A feed whose database is away."""
    database = Database(f"sqlite:///{tmp_path}/no/such.db")
    yield RevocationFeed(
        database, clock, lag=timedelta(seconds=1), token_lifetime=timedelta(hours=1)
    )
    database.dispose()


def test_nobody_is_let_in_when_the_feed_was_never_read(deaf: RevocationFeed) -> None:
    """R-03: fail closed, in every thread, without waiting for who asks the database just then."""

    def refused() -> bool:
        with pytest.raises(GateUnavailable):
            passes(deaf, "a")
        return True

    refused()
    begun_at = time.monotonic()
    with deaf._read_lock:  # noqa: SLF001 - a question that gets no answer
        assert all(race(*[refused] * 20))
    assert time.monotonic() - begun_at < revocation.MAX_FEED_AGE_SECONDS


def test_two_who_end_the_same_sessions_do_not_wait_for_each_other(here: Backend, ada: str) -> None:
    """One order of locks: sign-outs, and an operator's end of all sessions, at once."""
    issuer = here.services.issuer
    for _ in range(5):
        tokens = [open_session(here, ada).refresh_token for _ in range(4)]
        works: list[Callable[[], object]] = [
            partial(sessions.logout, issuer, token, delivery="body") for token in tokens
        ]
        works += [
            partial(sessions.end_other_sessions, issuer, ada, keep=None, why="test", actor=ada)
        ] * 2
        assert len(race(*works)) == 6


def test_seq_is_the_order_of_commits(here: Backend, database: Database) -> None:
    """Nobody reads a later row before an earlier one, however writers overlap."""
    revocation_feed = here.services.revocation_feed
    seen: list[list[int]] = []

    def write() -> None:
        for _ in range(5):
            take_back(revocation_feed, database, new_id()[-12:])
            with database.reading() as connection:
                seen.append(
                    list(connection.scalars(select(Revocation.seq).order_by(Revocation.seq)))
                )

    race(*[write] * 8)
    full = max(seen, key=len)
    assert all(rows == full[: len(rows)] for rows in seen)
    assert len(full) == 40
