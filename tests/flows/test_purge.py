"""Housekeeping: what can matter no more goes, and nothing else."""

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from itemsapi.clock import new_id
from itemsapi.db import Model
from itemsapi.issuer import retention
from itemsapi.issuer.retention import (
    DELETE_BATCH_ROWS,
    LOOKUP_ROWS,
    PurgeTarget,
    count_rows,
    purge,
    purge_targets,
)
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.rate_limits import AttemptCounter, Limit
from itemsapi.tokens.key_store import PUBLISHED_BEFORE_SIGNING
from itemsapi.tokens.revocation import ALL_USERS, load_global_epochs, session_target
from support.app_factory import Backend
from support.tokens import event_details, open_session, refresh, refreshed, revoke_tokens_of_user

DAY = timedelta(days=1)


@pytest.fixture
def ada(backend: Backend) -> str:
    """A user; the id."""
    return backend.create_user("ada", "member")


def heap(backend: Backend, name: str) -> PurgeTarget:
    """Return one heap as it is now."""
    return next(one for one in purge_targets(backend.services.issuer) if one.name == name)


def purged(backend: Backend, name: str) -> int:
    """Purge one heap; return how many rows went."""
    return purge(backend.services.issuer, heap(backend, name), pause=lambda _: None)


def rows(backend: Backend, name: str) -> int:
    """Count all rows of a heap's table."""
    with backend.services.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(heap(backend, name).table)) or 0


def logged_out(backend: Backend, token: str) -> None:
    """End a session."""
    backend.client().post("/auth/logout", json={"refresh_token": token})


def test_a_living_session_stays(backend: Backend, ada: str) -> None:
    """Whatever its age: it was used within the idle limit."""
    token = open_session(backend, ada).refresh_token
    for _ in range(8):
        backend.clock.advance(days=10)
        token = refreshed(backend, token)["refresh_token"]
    assert purged(backend, "sessions") == 0
    assert refresh(backend, token).status_code == 200


@pytest.mark.parametrize(("hours", "gone"), [(24, 0), (25, 1)])
def test_an_ended_session_goes_after_a_day(
    backend: Backend, ada: str, hours: int, gone: int
) -> None:
    """Until then whoever asks why can be told."""
    logged_out(backend, open_session(backend, ada).refresh_token)
    backend.clock.advance(hours=hours)
    assert purged(backend, "sessions") == gone


@pytest.mark.parametrize(("days", "gone"), [(15, 0), (15.1, 1)])
def test_an_idle_session_goes_a_day_after_its_limit(
    backend: Backend, ada: str, days: float, gone: int
) -> None:
    """By setting, 14 days."""
    open_session(backend, ada)
    backend.clock.advance(days=days)
    assert purged(backend, "sessions") == gone


def test_a_purged_session_refreshes_nothing(backend: Backend, ada: str) -> None:
    """Its token is as dead as before, and no reuse is cried."""
    token = open_session(backend, ada).refresh_token
    backend.clock.advance(days=16)
    purged(backend, "sessions")
    assert refresh(backend, token).get_json()["code"] == "invalid_refresh_token"
    assert event_details(backend, "token_reuse") == []


@pytest.mark.parametrize(("hours", "gone"), [(2, 0), (24, 0), (25, 1)])
def test_a_revocation_stays_while_a_token_can_meet_it(
    backend: Backend, ada: str, hours: int, gone: int
) -> None:
    """The longest life of a token is an hour; clocks may differ by much more."""
    logged_out(backend, open_session(backend, ada).refresh_token)
    revoke_tokens_of_user(backend, "ada")  # the last row of all stays in any case
    backend.clock.advance(hours=hours)
    assert purged(backend, "revocations") == gone


def test_the_row_that_ended_everybodys_sessions_stays(backend: Backend, ada: str) -> None:
    """R-19: a session begun before it may be younger than its idle limit for months."""
    token = open_session(backend, ada).refresh_token
    end_all_sessions(backend.services.issuer, why="a test")
    backend.clock.advance(days=2)
    assert purged(backend, "revocations") == 0
    assert refresh(backend, token).status_code == 401


def test_the_row_that_recalled_everybodys_tokens_stays(backend: Backend) -> None:
    """S-112: the epoch of everybody's tokens is read from it, whatever a host's clock says."""
    with backend.services.database.transaction() as tx:
        epoch = backend.services.revocation_feed.revoke(tx, ALL_USERS)
        backend.services.revocation_feed.revoke(tx, session_target("s"))
    backend.clock.advance(days=2)
    assert purged(backend, "revocations") == 0
    with backend.services.database.reading() as connection:
        assert load_global_epochs(connection).tokens == epoch


def test_the_row_that_ended_everybodys_sessions_stays_behind_later_ones(
    backend: Backend, ada: str
) -> None:
    """R-19: also behind one that recalled everybody's tokens, and ended no session."""
    token = open_session(backend, ada).refresh_token
    end_all_sessions(backend.services.issuer, why="a test")
    with backend.services.database.transaction() as tx:
        backend.services.revocation_feed.revoke(tx, ALL_USERS)
        backend.services.revocation_feed.revoke(tx, session_target("s"))
    backend.clock.advance(days=2)
    assert purged(backend, "revocations") == 0
    assert refresh(backend, token).status_code == 401


def test_the_last_revocation_of_all_stays(backend: Backend, ada: str) -> None:
    """R-28: a number is never given out again, and running processes find their place."""
    logged_out(backend, open_session(backend, ada).refresh_token)
    backend.clock.advance(days=2)
    assert purged(backend, "revocations") == 0


def test_of_the_rows_that_ended_everybodys_sessions_the_latest_is_enough(
    backend: Backend, ada: str
) -> None:
    """R-19: each says all that those before it said."""
    for _ in range(3):
        end_all_sessions(backend.services.issuer, why="a test")
        backend.clock.advance(days=2)
    assert purged(backend, "revocations") == 2
    assert rows(backend, "revocations") == 1


@pytest.mark.parametrize(("hours", "gone"), [(24, 0), (25, 1)])
def test_an_idempotency_key_goes_after_a_day(backend: Backend, hours: int, gone: int) -> None:
    """So long a client may ask again for what it got no answer to (S-154)."""
    body = {"name": "Lamp", "price": "1", "currency": "EUR"}
    ada = backend.signed_in_client("ada", "member")
    assert ada.post("/items", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
    backend.clock.advance(hours=hours)
    assert purged(backend, "idempotency keys") == gone


def test_a_session_that_ended_with_everybodys_never_comes_back(backend: Backend, ada: str) -> None:
    """R-19: purge after purge, and with a longer limit by then."""
    token = open_session(backend, ada).refresh_token
    end_all_sessions(backend.services.issuer, why="a test")
    for _ in range(6):
        backend.clock.advance(days=2)
        for one in purge_targets(backend.services.issuer):
            purge(backend.services.issuer, one, pause=lambda _: None)
    assert refresh(backend, token).status_code == 401


@pytest.mark.parametrize(("days", "left"), [(365, 2), (366, 0)])
def test_audit_events_go_after_their_retention(
    backend: Backend, ada: str, days: int, left: int
) -> None:
    """By setting, a year: the first key, and the sign-in."""
    open_session(backend, ada)
    backend.clock.advance(days=days)
    purged(backend, "audit events")
    assert rows(backend, "audit events") == left


def test_audit_events_stay_for_ever_without_a_retention(make_backend: object, ada: str) -> None:
    """By setting: 0."""
    assert callable(make_backend)
    backend: Backend = make_backend(audit_retention=timedelta(0))
    open_session(backend, ada)
    backend.clock.advance(days=4000)
    assert purged(backend, "audit events") == 0


@pytest.mark.parametrize(("days", "gone"), [(30, 0), (31, 1)])
def test_known_clients_go_after_a_month(backend: Backend, ada: str, days: int, gone: int) -> None:
    """After that they count as strangers again."""
    backend.login("ada")
    backend.clock.advance(days=days)
    assert purged(backend, "known clients") == gone


@pytest.mark.parametrize(("hours", "gone"), [(24, False), (25, True)])
def test_tries_go_after_a_day(backend: Backend, ada: str, hours: int, gone: bool) -> None:
    """Their window is a quarter of an hour."""
    backend.client().post("/auth/login", json={"username": "ada", "password": "wrong" * 4})
    backend.clock.advance(hours=hours)
    assert bool(purged(backend, "attempts")) == gone


@pytest.mark.parametrize(("hours", "gone"), [(0, 0), (24, 0), (25, 1)])
def test_a_held_try_goes_a_day_after_it_was_given_up(
    backend: Backend, hours: int, gone: int
) -> None:
    """S-079: never while its password is looked at."""
    limit = Limit(("here", "ada", "203.0.113.9"), 10, timedelta(minutes=15))
    backend.services.issuer.attempt_limiter.reserve([limit])
    backend.clock.advance(seconds=30, hours=hours)
    assert purged(backend, "pending attempts") == gone


@pytest.mark.parametrize(("days", "gone"), [(7, 0), (8, 1)])
def test_a_retired_key_goes_after_a_week(backend: Backend, days: int, gone: int) -> None:
    """It has verified nothing since the first hour of it."""
    backend.services.key_set.snapshot()
    backend.clock.advance(seconds=PUBLISHED_BEFORE_SIGNING.total_seconds())
    backend.services.key_set.rotate()
    backend.clock.advance(days=days)
    assert purged(backend, "signing keys") == gone


def test_keys_in_use_stay(backend: Backend) -> None:
    """However old they are."""
    backend.services.key_set.snapshot()
    backend.clock.advance(days=4000)
    assert purged(backend, "signing keys") == 0


def fill(backend: Backend, live: int, dead: int) -> None:
    """Write tries: the table without a foreign key; some of them old, all over the table."""
    now = backend.clock()
    moments = [now] * live + [now - 2 * DAY] * dead
    tries = [{"key": new_id()[::-1], "started_at": moment, "failures": 1} for moment in moments]
    with backend.services.database.transaction() as tx:
        tx.execute(insert(AttemptCounter.core()), tries)


def test_large_heaps_go_in_small_batches(backend: Backend) -> None:
    """Nobody who writes waits for more than a batch."""
    fill(backend, 700, 2 * DELETE_BATCH_ROWS + 1)
    sizes: list[int] = []
    issuer, tries = backend.services.issuer, heap(backend, "attempts")
    assert purge(issuer, tries, sizes.append, pause=lambda _: None) == 2 * DELETE_BATCH_ROWS + 1
    assert (max(sizes), rows(backend, "attempts")) == (DELETE_BATCH_ROWS, 700)


def test_a_rest_follows_each_batch(backend: Backend) -> None:
    """As long as the batch took, so that others get their turn."""
    fill(backend, 0, 2 * DELETE_BATCH_ROWS)
    rests: list[float] = []
    purge(backend.services.issuer, heap(backend, "attempts"), pause=rests.append)
    assert len(rests) == 2
    assert min(rests) > 0


def test_heaps_are_counted_over_many_strides(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table larger than a look-up goes through at once."""
    assert LOOKUP_ROWS > DELETE_BATCH_ROWS
    monkeypatch.setattr(retention, "LOOKUP_ROWS", 7)
    fill(backend, 20, 31)
    assert count_rows(backend.services.issuer, heap(backend, "attempts")) == 31
    assert (purged(backend, "attempts"), rows(backend, "attempts")) == (31, 20)


def test_what_became_needed_in_between_stays(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row found is looked at again when it is deleted."""
    fill(backend, 0, 3)
    doomed = heap(backend, "attempts")
    found = retention._find_keys  # noqa: SLF001 - the moment between finding and deleting

    def meanwhile(*wanted: object) -> object:
        for keys in found(*wanted):  # type: ignore[arg-type]
            with backend.services.database.transaction() as tx:
                tx.execute(doomed.table.update().values(started_at=backend.clock()))
            yield keys

    monkeypatch.setattr(retention, "_find_keys", meanwhile)
    assert purge(backend.services.issuer, doomed, pause=lambda _: None) == 0


def test_every_table_that_grows_by_itself_has_a_heap(backend: Backend) -> None:
    """What nobody deletes on purpose is deleted some day."""
    kept = {
        "itemsapi_user",
        "itemsapi_user_role",
        "itemsapi_role",
        "itemsapi_role_scope",
        "itemsapi_quota_usage",
        "item",
    }
    tables = {name for name in Model.metadata.tables if not name.startswith("item_")}
    assert {one.table.name for one in purge_targets(backend.services.issuer)} == tables - kept
