"""Housekeeping: what can matter no more goes, and nothing else."""

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from itemsapi.clock import new_id
from itemsapi.db import Model
from itemsapi.issuer import retention
from itemsapi.issuer.retention import BATCH, STRIDE, PurgeTarget, count, purge, purge_targets
from itemsapi.issuer.sessions import end_everybodys
from itemsapi.rate_limits import AttemptCounter, Limit
from itemsapi.tokens.key_store import PUBLISHED
from itemsapi.tokens.revocation import EVERYBODY, everybodys_epochs, session_target
from support.app_factory import House
from support.tokens import begun, events, recall, refresh, renewed

DAY = timedelta(days=1)


@pytest.fixture
def ada(house: House) -> str:
    """A user; the id."""
    return house.user("ada", "member")


def heap(house: House, name: str) -> PurgeTarget:
    """Return one heap as it is now."""
    return next(one for one in purge_targets(house.services.issuer) if one.name == name)


def purged(house: House, name: str) -> int:
    """Purge one heap; return how many rows went."""
    return purge(house.services.issuer, heap(house, name), rest=lambda _: None)


def rows(house: House, name: str) -> int:
    """Count all rows of a heap's table."""
    with house.services.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(heap(house, name).table)) or 0


def logged_out(house: House, token: str) -> None:
    """End a session."""
    house.client().post("/auth/logout", json={"refresh_token": token})


def test_a_living_session_stays(house: House, ada: str) -> None:
    """Whatever its age: it was used within the idle limit."""
    token = begun(house, ada).refresh_token
    for _ in range(8):
        house.clock.forward(days=10)
        token = renewed(house, token)["refresh_token"]
    assert purged(house, "sessions") == 0
    assert refresh(house, token).status_code == 200


@pytest.mark.parametrize(("hours", "gone"), [(24, 0), (25, 1)])
def test_an_ended_session_goes_after_a_day(house: House, ada: str, hours: int, gone: int) -> None:
    """Until then whoever asks why can be told."""
    logged_out(house, begun(house, ada).refresh_token)
    house.clock.forward(hours=hours)
    assert purged(house, "sessions") == gone


@pytest.mark.parametrize(("days", "gone"), [(15, 0), (15.1, 1)])
def test_an_idle_session_goes_a_day_after_its_limit(
    house: House, ada: str, days: float, gone: int
) -> None:
    """By setting, 14 days."""
    begun(house, ada)
    house.clock.forward(days=days)
    assert purged(house, "sessions") == gone


def test_a_purged_session_refreshes_nothing(house: House, ada: str) -> None:
    """Its token is as dead as before, and no reuse is cried."""
    token = begun(house, ada).refresh_token
    house.clock.forward(days=16)
    purged(house, "sessions")
    assert refresh(house, token).get_json()["code"] == "invalid_refresh_token"
    assert events(house, "token_reuse") == []


@pytest.mark.parametrize(("hours", "gone"), [(2, 0), (24, 0), (25, 1)])
def test_a_revocation_stays_while_a_token_can_meet_it(
    house: House, ada: str, hours: int, gone: int
) -> None:
    """The longest life of a token is an hour; clocks may differ by much more."""
    logged_out(house, begun(house, ada).refresh_token)
    recall(house, "ada")  # the last row of all stays in any case
    house.clock.forward(hours=hours)
    assert purged(house, "revocations") == gone


def test_the_row_that_ended_everybodys_sessions_stays(house: House, ada: str) -> None:
    """R-19: a session begun before it may be younger than its idle limit for months."""
    token = begun(house, ada).refresh_token
    end_everybodys(house.services.issuer, why="a test")
    house.clock.forward(days=2)
    assert purged(house, "revocations") == 0
    assert refresh(house, token).status_code == 401


def test_the_row_that_recalled_everybodys_tokens_stays(house: House) -> None:
    """S-112: the epoch of everybody's tokens is read from it, whatever a host's clock says."""
    with house.services.database.transaction() as tx:
        epoch = house.services.revocation_feed.revoke(tx, EVERYBODY)
        house.services.revocation_feed.revoke(tx, session_target("s"))
    house.clock.forward(days=2)
    assert purged(house, "revocations") == 0
    with house.services.database.reading() as connection:
        assert everybodys_epochs(connection).tokens == epoch


def test_the_row_that_ended_everybodys_sessions_stays_behind_later_ones(
    house: House, ada: str
) -> None:
    """R-19: also behind one that recalled everybody's tokens, and ended no session."""
    token = begun(house, ada).refresh_token
    end_everybodys(house.services.issuer, why="a test")
    with house.services.database.transaction() as tx:
        house.services.revocation_feed.revoke(tx, EVERYBODY)
        house.services.revocation_feed.revoke(tx, session_target("s"))
    house.clock.forward(days=2)
    assert purged(house, "revocations") == 0
    assert refresh(house, token).status_code == 401


def test_the_last_revocation_of_all_stays(house: House, ada: str) -> None:
    """R-28: a number is never given out again, and running processes find their place."""
    logged_out(house, begun(house, ada).refresh_token)
    house.clock.forward(days=2)
    assert purged(house, "revocations") == 0


def test_of_the_rows_that_ended_everybodys_sessions_the_latest_is_enough(
    house: House, ada: str
) -> None:
    """R-19: each says all that those before it said."""
    for _ in range(3):
        end_everybodys(house.services.issuer, why="a test")
        house.clock.forward(days=2)
    assert purged(house, "revocations") == 2
    assert rows(house, "revocations") == 1


@pytest.mark.parametrize(("hours", "gone"), [(24, 0), (25, 1)])
def test_an_idempotency_key_goes_after_a_day(house: House, hours: int, gone: int) -> None:
    """So long a client may ask again for what it got no answer to (S-154)."""
    body = {"name": "Lamp", "price": "1", "currency": "EUR"}
    ada = house.signed_in("ada", "member")
    assert ada.post("/items", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
    house.clock.forward(hours=hours)
    assert purged(house, "claims") == gone


def test_a_session_that_ended_with_everybodys_never_comes_back(house: House, ada: str) -> None:
    """R-19: purge after purge, and with a longer limit by then."""
    token = begun(house, ada).refresh_token
    end_everybodys(house.services.issuer, why="a test")
    for _ in range(6):
        house.clock.forward(days=2)
        for one in purge_targets(house.services.issuer):
            purge(house.services.issuer, one, rest=lambda _: None)
    assert refresh(house, token).status_code == 401


@pytest.mark.parametrize(("days", "left"), [(365, 2), (366, 0)])
def test_audit_events_go_after_their_retention(
    house: House, ada: str, days: int, left: int
) -> None:
    """By setting, a year: the first key, and the sign-in."""
    begun(house, ada)
    house.clock.forward(days=days)
    purged(house, "audit events")
    assert rows(house, "audit events") == left


def test_audit_events_stay_for_ever_without_a_retention(make_house: object, ada: str) -> None:
    """By setting: 0."""
    assert callable(make_house)
    house: House = make_house(audit_retention=timedelta(0))
    begun(house, ada)
    house.clock.forward(days=4000)
    assert purged(house, "audit events") == 0


@pytest.mark.parametrize(("days", "gone"), [(30, 0), (31, 1)])
def test_known_clients_go_after_a_month(house: House, ada: str, days: int, gone: int) -> None:
    """After that they count as strangers again."""
    house.login("ada")
    house.clock.forward(days=days)
    assert purged(house, "known clients") == gone


@pytest.mark.parametrize(("hours", "gone"), [(24, False), (25, True)])
def test_tries_go_after_a_day(house: House, ada: str, hours: int, gone: bool) -> None:
    """Their window is a quarter of an hour."""
    house.client().post("/auth/login", json={"username": "ada", "password": "wrong" * 4})
    house.clock.forward(hours=hours)
    assert bool(purged(house, "tries")) == gone


@pytest.mark.parametrize(("hours", "gone"), [(0, 0), (24, 0), (25, 1)])
def test_a_held_try_goes_a_day_after_it_was_given_up(house: House, hours: int, gone: int) -> None:
    """S-079: never while its password is looked at."""
    limit = Limit(("here", "ada", "203.0.113.9"), 10, timedelta(minutes=15))
    house.services.issuer.attempt_limiter.reserve([limit])
    house.clock.forward(seconds=30, hours=hours)
    assert purged(house, "held tries") == gone


@pytest.mark.parametrize(("days", "gone"), [(7, 0), (8, 1)])
def test_a_retired_key_goes_after_a_week(house: House, days: int, gone: int) -> None:
    """It has verified nothing since the first hour of it."""
    house.services.key_set.now()
    house.clock.forward(seconds=PUBLISHED.total_seconds())
    house.services.key_set.rotate()
    house.clock.forward(days=days)
    assert purged(house, "keys") == gone


def test_keys_in_use_stay(house: House) -> None:
    """However old they are."""
    house.services.key_set.now()
    house.clock.forward(days=4000)
    assert purged(house, "keys") == 0


def fill(house: House, live: int, dead: int) -> None:
    """Write tries: the table without a foreign key; some of them old, all over the table."""
    now = house.clock()
    moments = [now] * live + [now - 2 * DAY] * dead
    tries = [{"key": new_id()[::-1], "started_at": moment, "failures": 1} for moment in moments]
    with house.services.database.transaction() as tx:
        tx.execute(insert(AttemptCounter.core()), tries)


def test_large_heaps_go_in_small_batches(house: House) -> None:
    """Nobody who writes waits for more than a batch."""
    fill(house, 700, 2 * BATCH + 1)
    sizes: list[int] = []
    issuer, tries = house.services.issuer, heap(house, "tries")
    assert purge(issuer, tries, sizes.append, rest=lambda _: None) == 2 * BATCH + 1
    assert (max(sizes), rows(house, "tries")) == (BATCH, 700)


def test_a_rest_follows_each_batch(house: House) -> None:
    """As long as the batch took, so that others get their turn."""
    fill(house, 0, 2 * BATCH)
    rests: list[float] = []
    purge(house.services.issuer, heap(house, "tries"), rest=rests.append)
    assert len(rests) == 2
    assert min(rests) > 0


def test_heaps_are_counted_over_many_strides(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table larger than a look-up goes through at once."""
    assert STRIDE > BATCH
    monkeypatch.setattr(retention, "STRIDE", 7)
    fill(house, 20, 31)
    assert count(house.services.issuer, heap(house, "tries")) == 31
    assert (purged(house, "tries"), rows(house, "tries")) == (31, 20)


def test_what_became_needed_in_between_stays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row found is looked at again when it is deleted."""
    fill(house, 0, 3)
    doomed = heap(house, "tries")
    found = retention._found  # noqa: SLF001 - the moment between finding and deleting

    def meanwhile(*wanted: object) -> object:
        for keys in found(*wanted):  # type: ignore[arg-type]
            with house.services.database.transaction() as tx:
                tx.execute(doomed.table.update().values(started_at=house.clock()))
            yield keys

    monkeypatch.setattr(retention, "_found", meanwhile)
    assert purge(house.services.issuer, doomed, rest=lambda _: None) == 0


def test_every_table_that_grows_by_itself_has_a_heap(house: House) -> None:
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
    assert {one.table.name for one in purge_targets(house.services.issuer)} == tables - kept
