"""Retention: expired rows are deleted, and no others."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from itemsapi.attempt_limits import AttemptCounter, Limit
from itemsapi.clock import new_id
from itemsapi.db import Model
from itemsapi.issuer import retention
from itemsapi.issuer.retention import (
    DELETE_BATCH_ROWS,
    LOOKUP_ROWS,
    count_rows,
    purge,
    purge_targets,
)
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.tokens.key_store import PUBLISHED_BEFORE_SIGNING
from itemsapi.tokens.revocation import ALL_USERS, load_global_epochs, session_target
from support.app_factory import Backend
from support.purging import find_target, purge_without_pauses
from support.tokens import event_details, open_session, refresh, refreshed, revoke_tokens_of_user

DAY = timedelta(days=1)


@pytest.fixture
def ada(backend: Backend) -> str:
    """The id of a user."""
    return backend.create_user("ada", "member")


def purge_target(backend: Backend, name: str) -> int:
    """Purge a target without pauses; return the number of deleted rows."""
    return purge_without_pauses(backend, find_target(backend, name))


def count_all_rows(backend: Backend, name: str) -> int:
    """Count all rows of the table of a target."""
    with backend.services.database.reading() as connection:
        return (
            connection.scalar(select(func.count()).select_from(find_target(backend, name).table))
            or 0
        )


def log_out(backend: Backend, token: str) -> None:
    """End a session."""
    backend.client().post("/auth/logout", json={"refresh_token": token})


def test_a_live_session_is_kept_whatever_its_age(backend: Backend, ada: str) -> None:
    """It was used within the idle limit."""
    token = open_session(backend, ada).refresh_token
    for _ in range(8):
        backend.clock.advance(days=10)
        token = refreshed(backend, token)["refresh_token"]
    assert purge_target(backend, "sessions") == 0
    assert refresh(backend, token).status_code == 200


@pytest.mark.parametrize(("hours", "deleted"), [(24, 0), (25, 1)])
def test_an_ended_session_is_deleted_after_a_day(
    backend: Backend, ada: str, hours: int, deleted: int
) -> None:
    """Until then the reason of its end can be looked up."""
    log_out(backend, open_session(backend, ada).refresh_token)
    backend.clock.advance(hours=hours)
    assert purge_target(backend, "sessions") == deleted


@pytest.mark.parametrize(("days", "deleted"), [(15, 0), (15.1, 1)])
def test_an_idle_session_is_deleted_a_day_after_its_limit(
    backend: Backend, ada: str, days: float, deleted: int
) -> None:
    """The limit is 14 days by default."""
    open_session(backend, ada)
    backend.clock.advance(days=days)
    assert purge_target(backend, "sessions") == deleted


@pytest.mark.parametrize(("hours", "deleted"), [(24, 0), (25, 1)])
def test_a_session_is_deleted_a_day_after_its_absolute_limit(
    make_backend: Callable[..., Backend], hours: int, deleted: int
) -> None:
    """However recently it was used."""
    backend = make_backend(session_max_age=timedelta(days=20))
    token = open_session(backend, backend.create_user("ada", "member")).refresh_token
    backend.clock.advance(days=13)
    refreshed(backend, token)
    backend.clock.advance(days=7, hours=hours)
    assert purge_target(backend, "sessions") == deleted


def test_a_refresh_token_is_invalid_after_its_session_is_purged(backend: Backend, ada: str) -> None:
    """It is not reported as reused."""
    token = open_session(backend, ada).refresh_token
    backend.clock.advance(days=16)
    purge_target(backend, "sessions")
    assert refresh(backend, token).get_json()["code"] == "invalid_refresh_token"
    assert event_details(backend, "token_reuse") == []


@pytest.mark.parametrize(("hours", "deleted"), [(2, 0), (24, 0), (25, 1)])
def test_a_revocation_is_kept_while_it_can_apply_to_a_token(
    backend: Backend, ada: str, hours: int, deleted: int
) -> None:
    """A token lives an hour at most; clocks may differ by much more."""
    log_out(backend, open_session(backend, ada).refresh_token)
    revoke_tokens_of_user(backend, "ada")  # the last row is always kept
    backend.clock.advance(hours=hours)
    assert purge_target(backend, "revocations") == deleted


def test_the_revocation_of_all_sessions_is_kept(backend: Backend, ada: str) -> None:
    """R-19: a session from before it may stay within its idle limit for months."""
    token = open_session(backend, ada).refresh_token
    end_all_sessions(backend.services.issuer, why="a test")
    backend.clock.advance(days=2)
    assert purge_target(backend, "revocations") == 0
    assert refresh(backend, token).status_code == 401


def test_the_revocation_of_all_tokens_is_kept(backend: Backend) -> None:
    """S-112: it defines the global epoch of access tokens, whatever the clock of a host."""
    with backend.services.database.transaction() as tx:
        epoch = backend.services.revocation_feed.revoke(tx, ALL_USERS)
        backend.services.revocation_feed.revoke(tx, session_target("s"))
    backend.clock.advance(days=2)
    assert purge_target(backend, "revocations") == 0
    with backend.services.database.reading() as connection:
        assert load_global_epochs(connection).tokens == epoch


def test_the_revocation_of_all_sessions_is_kept_after_a_later_one_of_tokens(
    backend: Backend, ada: str
) -> None:
    """R-19: the later one ended no session."""
    token = open_session(backend, ada).refresh_token
    end_all_sessions(backend.services.issuer, why="a test")
    with backend.services.database.transaction() as tx:
        backend.services.revocation_feed.revoke(tx, ALL_USERS)
        backend.services.revocation_feed.revoke(tx, session_target("s"))
    backend.clock.advance(days=2)
    assert purge_target(backend, "revocations") == 0
    assert refresh(backend, token).status_code == 401


def test_the_last_revocation_is_kept(backend: Backend, ada: str) -> None:
    """R-28: a number is never reused, and running processes continue reading after it."""
    log_out(backend, open_session(backend, ada).refresh_token)
    backend.clock.advance(days=2)
    assert purge_target(backend, "revocations") == 0


def test_only_the_latest_revocation_of_all_sessions_is_kept(backend: Backend, ada: str) -> None:
    """R-19: it includes all earlier ones."""
    for _ in range(3):
        end_all_sessions(backend.services.issuer, why="a test")
        backend.clock.advance(days=2)
    assert purge_target(backend, "revocations") == 2
    assert count_all_rows(backend, "revocations") == 1


@pytest.mark.parametrize(("hours", "deleted"), [(24, 0), (25, 1)])
def test_an_idempotency_key_is_deleted_after_a_day(
    backend: Backend, hours: int, deleted: int
) -> None:
    """Until then a client may repeat its request (S-154)."""
    body = {"name": "Lamp", "price": "1", "currency": "EUR"}
    ada = backend.signed_in_client("ada", "member")
    assert ada.post("/items", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
    backend.clock.advance(hours=hours)
    assert purge_target(backend, "idempotency keys") == deleted


def test_a_session_ended_with_all_sessions_stays_ended_after_purges(
    backend: Backend, ada: str
) -> None:
    """R-19: whatever is purged meanwhile."""
    token = open_session(backend, ada).refresh_token
    end_all_sessions(backend.services.issuer, why="a test")
    for _ in range(6):
        backend.clock.advance(days=2)
        for target in purge_targets(backend.services.issuer):
            purge(backend.services.issuer, target, pause=lambda _: None)
    assert refresh(backend, token).status_code == 401


@pytest.mark.parametrize(("days", "remaining"), [(365, 2), (366, 0)])
def test_audit_events_are_deleted_after_their_retention(
    backend: Backend, ada: str, days: int, remaining: int
) -> None:
    """By default a year. The events are the first key and the sign-in."""
    open_session(backend, ada)
    backend.clock.advance(days=days)
    purge_target(backend, "audit events")
    assert count_all_rows(backend, "audit events") == remaining


def test_audit_events_are_kept_without_a_retention(make_backend: object, ada: str) -> None:
    """The setting is 0."""
    assert callable(make_backend)
    backend: Backend = make_backend(audit_retention=timedelta(0))
    open_session(backend, ada)
    backend.clock.advance(days=4000)
    assert purge_target(backend, "audit events") == 0


@pytest.mark.parametrize(("days", "deleted"), [(30, 0), (31, 1)])
def test_known_clients_are_deleted_after_a_month(
    backend: Backend, ada: str, days: int, deleted: int
) -> None:
    """After that they count as unknown again."""
    backend.login("ada")
    backend.clock.advance(days=days)
    assert purge_target(backend, "known clients") == deleted


@pytest.mark.parametrize(("hours", "deleted"), [(24, False), (25, True)])
def test_failed_attempts_are_deleted_after_a_day(
    backend: Backend, ada: str, hours: int, deleted: bool
) -> None:
    """Their window is 15 minutes."""
    backend.client().post("/auth/login", json={"username": "ada", "password": "wrong" * 4})
    backend.clock.advance(hours=hours)
    assert bool(purge_target(backend, "attempts")) == deleted


@pytest.mark.parametrize(("hours", "deleted"), [(0, 0), (24, 0), (25, 1)])
def test_a_pending_attempt_is_deleted_a_day_after_it_expired(
    backend: Backend, hours: int, deleted: int
) -> None:
    """S-079: never while its password is verified."""
    limit = Limit(("user and client", "ada", "203.0.113.9"), 10, timedelta(minutes=15))
    backend.services.issuer.attempt_limiter.reserve([limit])
    backend.clock.advance(seconds=30, hours=hours)
    assert purge_target(backend, "pending attempts") == deleted


@pytest.mark.parametrize(("days", "deleted"), [(7, 0), (8, 1)])
def test_a_retired_key_is_deleted_after_a_week(backend: Backend, days: int, deleted: int) -> None:
    """It verified nothing after the first hour."""
    backend.services.key_set.snapshot()
    backend.clock.advance(seconds=PUBLISHED_BEFORE_SIGNING.total_seconds())
    backend.services.key_set.key_store.rotate()
    backend.clock.advance(days=days)
    assert purge_target(backend, "signing keys") == deleted


def test_keys_in_use_are_kept(backend: Backend) -> None:
    """Whatever their age."""
    backend.services.key_set.snapshot()
    backend.clock.advance(days=4000)
    assert purge_target(backend, "signing keys") == 0


def insert_attempts(backend: Backend, current: int, expired: int) -> None:
    """Insert attempts, the simplest rows; the expired ones are spread over the table."""
    now = backend.clock()
    starts = [now] * current + [now - 2 * DAY] * expired
    attempts = [{"key": new_id()[::-1], "started_at": start, "failures": 1} for start in starts]
    with backend.services.database.transaction() as tx:
        tx.execute(insert(AttemptCounter.core()), attempts)


def test_many_rows_are_deleted_in_small_batches(backend: Backend) -> None:
    """A writing request waits for one batch at most."""
    insert_attempts(backend, 700, 2 * DELETE_BATCH_ROWS + 1)
    sizes: list[int] = []
    issuer, attempts = backend.services.issuer, find_target(backend, "attempts")
    assert purge(issuer, attempts, sizes.append, pause=lambda _: None) == 2 * DELETE_BATCH_ROWS + 1
    assert (max(sizes), count_all_rows(backend, "attempts")) == (DELETE_BATCH_ROWS, 700)


def test_a_pause_follows_each_batch(backend: Backend) -> None:
    """As long as the batch took, so that requests can write."""
    insert_attempts(backend, 0, 2 * DELETE_BATCH_ROWS)
    pauses: list[float] = []
    purge(backend.services.issuer, find_target(backend, "attempts"), pause=pauses.append)
    assert len(pauses) == 2
    assert min(pauses) > 0


def test_rows_are_found_in_a_table_larger_than_one_lookup(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several look-ups."""
    assert LOOKUP_ROWS > DELETE_BATCH_ROWS
    monkeypatch.setattr(retention, "LOOKUP_ROWS", 7)
    insert_attempts(backend, 20, 31)
    assert count_rows(backend.services.issuer, find_target(backend, "attempts")) == 31
    assert (purge_target(backend, "attempts"), count_all_rows(backend, "attempts")) == (31, 20)


def test_a_row_is_kept_when_it_changes_before_its_deletion(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The condition is checked again in the transaction."""
    insert_attempts(backend, 0, 3)
    expired = find_target(backend, "attempts")
    find_keys = retention._find_keys  # noqa: SLF001 - the moment between finding and deleting

    def change_meanwhile(*arguments: object) -> object:
        for keys in find_keys(*arguments):  # type: ignore[arg-type]
            with backend.services.database.transaction() as tx:
                tx.execute(expired.table.update().values(started_at=backend.clock()))
            yield keys

    monkeypatch.setattr(retention, "_find_keys", change_meanwhile)
    assert purge(backend.services.issuer, expired, pause=lambda _: None) == 0


def test_every_growing_table_has_a_purge_target(backend: Backend) -> None:
    """Except those whose rows users and operators delete."""
    kept = {
        "itemsapi_user",
        "itemsapi_user_state",  # one for each user who signed in
        "itemsapi_user_set",  # one row
        "itemsapi_user_role",
        "itemsapi_role",
        "itemsapi_role_scope",
        "itemsapi_quota_usage",
        "itemsapi_item",
    }
    tables = set(Model.metadata.tables)
    assert {target.table.name for target in purge_targets(backend.services.issuer)} == tables - kept
