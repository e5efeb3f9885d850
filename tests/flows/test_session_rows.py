"""The statements about sessions change and return the rows of one session, and no others."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from itemsapi.accounts.models import User
from itemsapi.clock import new_id
from itemsapi.db import AnyRow, Database
from itemsapi.tokens.rotation import (
    PresentedToken,
    RotationLimits,
    RotationOutcome,
    mark_generation_seen,
    renew_session,
    rotate,
)
from itemsapi.tokens.sessions import (
    AuthSession,
    end_session,
    find_session,
    is_alive,
    last_used_at,
    lock_open_sessions,
)

NOW = datetime(2026, 1, 2, 12, 3, tzinfo=UTC)
IDLE = timedelta(days=14)
LIMITS = RotationLimits(max_idle=IDLE, grace=timedelta(seconds=20), heal=True)


class Rows:
    """Sessions of two users in a database."""

    def __init__(self, database: Database) -> None:
        """Create the users."""
        self.database = database
        self.ada, self.eve = self._create_user(), self._create_user()

    def _create_user(self) -> str:
        user_id = new_id()
        times = {"created_at": NOW, "updated_at": NOW}
        with self.database.transaction() as tx:
            tx.add(User(id=user_id, username=user_id, password_hash="-", **times))
        return user_id

    def create(self, user_id: str | None = None, **columns: Any) -> str:
        """Create a session that was rotated an hour ago, by default of ada; return its id."""
        hour_ago = NOW - timedelta(hours=1)
        times = dict.fromkeys(("created_at", "rotated_at", "used_before"), hour_ago)
        needed = {"checkpoint_at": hour_ago, "expires_at": NOW + timedelta(days=1), "epoch": 0}
        texts = {"delivery": "body", "amr": "pwd", "device": "-", "address": "-", "auth_time": 1}
        values = {"id": new_id(), "user_id": user_id or self.ada, **times, **needed, **texts}
        with self.database.transaction() as tx:
            tx.add(AuthSession(**(values | columns)))
        return str((values | columns)["id"])

    def row(self, sid: str) -> AnyRow:
        """Return the row of a session."""
        with self.database.reading() as connection:
            row = find_session(connection, sid)
        assert row is not None
        return row


@pytest.fixture
def rows(database: Database) -> Rows:
    """Two users without a session."""
    return Rows(database)


DEAD: list[Mapping[str, Any]] = [
    {"ended_at": NOW - timedelta(minutes=1)},
    {"expires_at": NOW},
    {"rotated_at": NOW - IDLE},
]


def test_a_new_row_has_the_first_generation(rows: Rows) -> None:
    """It counts as seen, and has no root: there is no predecessor that could heal."""
    row = rows.row(rows.create())
    assert (row.gen, row.root_gen, row.renewed_gen, row.seen) == (1, 0, 1, True)
    assert (row.checkpoint_gen, row.settled_gen) == (0, 0)


def test_a_renewed_session_starts_anew(rows: Rows) -> None:
    """All older tokens are invalid, and none of them can heal or be repeated."""
    sid = rows.create(gen=5, root_gen=4, seen=False, attempt="x")
    with rows.database.transaction() as tx:
        row = renew_session(tx, sid, now=NOW, max_idle=IDLE, auth_time=77)
    assert row is not None
    assert (row.gen, row.root_gen, row.renewed_gen, row.seen, row.attempt, row.auth_time) == (
        6,
        0,
        6,
        True,
        None,
        77,
    )


def test_a_renewal_records_when_the_session_was_used(rows: Rows) -> None:
    """S-073: now, and before."""
    sid = rows.create()
    with rows.database.transaction() as tx:
        renew_session(tx, sid, now=NOW, max_idle=IDLE, auth_time=1)
    row = rows.row(sid)
    assert (row.rotated_at, row.used_before) == (NOW, NOW - timedelta(hours=1))


def test_a_renewal_changes_no_other_session(rows: Rows) -> None:
    """Neither of the same user nor of another one."""
    sid, others = rows.create(), [rows.create(), rows.create(rows.eve)]
    with rows.database.transaction() as tx:
        assert renew_session(tx, sid, now=NOW, max_idle=IDLE, auth_time=1) is not None
    assert [rows.row(other).gen for other in others] == [1, 1]


@pytest.mark.parametrize("columns", DEAD)
def test_a_session_that_is_over_is_not_renewed(rows: Rows, columns: Mapping[str, Any]) -> None:
    """S-064: neither after its end nor at its limits."""
    sid = rows.create(**columns)
    with rows.database.transaction() as tx:
        assert renew_session(tx, sid, now=NOW, max_idle=IDLE, auth_time=1) is None
    assert rows.row(sid).gen == 1


@pytest.mark.parametrize("columns", DEAD)
def test_a_session_that_is_over_is_not_rotated(rows: Rows, columns: Mapping[str, Any]) -> None:
    """S-064: its row stays as it is."""
    sid = rows.create(**columns)
    with rows.database.transaction() as tx:
        outcome = rotate(tx, sid, PresentedToken(1, None, NOW), LIMITS).outcome
    assert (outcome, rows.row(sid).gen) == (RotationOutcome.SESSION_ENDED, 1)
    assert not is_alive(rows.row(sid), NOW, IDLE)


def test_a_session_is_rotated_up_to_its_limits(rows: Rows) -> None:
    """S-064: to the last moment of both."""
    moment = timedelta(microseconds=1)
    sid = rows.create(expires_at=NOW + moment, rotated_at=NOW - IDLE + moment)
    assert is_alive(rows.row(sid), NOW, IDLE)
    with rows.database.transaction() as tx:
        outcome = rotate(tx, sid, PresentedToken(1, None, NOW), LIMITS).outcome
    assert outcome == RotationOutcome.ROTATE


def test_a_rotation_changes_no_other_session(rows: Rows) -> None:
    """Although the generation is the same."""
    sid, others = rows.create(), [rows.create(), rows.create(rows.eve)]
    with rows.database.transaction() as tx:
        assert rotate(tx, sid, PresentedToken(1, None, NOW), LIMITS).outcome.value == "rotated"
    assert [rows.row(other).gen for other in others] == [1, 1]


@pytest.mark.parametrize(
    ("used", "is_seen"), [(2, False), (3, False), (4, True), (5, True), (6, False)]
)
def test_a_generation_since_the_root_is_marked_as_seen(
    rows: Rows, used: int, is_seen: bool
) -> None:
    """S-074: the root and older ones say nothing about its successor; a later one is not ours."""
    sid = rows.create(gen=5, root_gen=3, seen=False)
    mark_generation_seen(rows.database, sid, used)
    assert rows.row(sid).seen is is_seen


def test_no_other_session_is_marked_as_seen(rows: Rows) -> None:
    """S-074: its lost response could no longer heal."""
    sid, other = (rows.create(gen=2, root_gen=1, seen=False) for _ in range(2))
    mark_generation_seen(rows.database, sid, 2)
    assert (rows.row(sid).seen, rows.row(other).seen) == (True, False)


def test_the_open_sessions_of_one_user_are_locked_in_one_order(rows: Rows) -> None:
    """By id, so that two transactions do not wait for each other."""
    ids = [f"{n}0000000-0000-7000-8000-000000000000" for n in (3, 1, 2)]
    for sid in ids:
        rows.create(id=sid)
    rows.create(ended_at=NOW)
    rows.create(rows.eve)
    with rows.database.transaction() as tx:
        assert lock_open_sessions(tx, rows.ada) == sorted(ids)


def test_one_session_is_ended_with_its_time_and_reason(rows: Rows) -> None:
    """The others stay open."""
    sid, other = rows.create(), rows.create()
    with rows.database.transaction() as tx:
        assert end_session(tx, sid, now=NOW, reason="logout")
    assert (rows.row(sid).ended_at, rows.row(sid).ended_because) == (NOW, "logout")
    assert rows.row(other).ended_at is None


def test_a_session_is_ended_once(rows: Rows) -> None:
    """The first reason stays."""
    sid = rows.create(ended_at=NOW - timedelta(hours=1), ended_because="first")
    with rows.database.transaction() as tx:
        assert not end_session(tx, sid, now=NOW, reason="second")
    assert rows.row(sid).ended_because == "first"


@pytest.mark.parametrize(
    ("rotated_at", "used_at"),
    [
        (NOW - timedelta(minutes=3), NOW - timedelta(minutes=63)),  # 12:00, within the five minutes
        (NOW - timedelta(minutes=4), NOW - timedelta(minutes=8)),  # 11:59
        (NOW - timedelta(minutes=9), NOW - timedelta(minutes=13)),  # 11:54
    ],
)
def test_the_last_use_is_rounded_down_to_five_minutes(
    rows: Rows, rotated_at: datetime, used_at: datetime
) -> None:
    """S-073: and a use within the present five minutes is not told."""
    created_at = NOW - timedelta(days=1)
    row = rows.row(
        rows.create(
            created_at=created_at, rotated_at=rotated_at, used_before=NOW - timedelta(minutes=60)
        )
    )
    assert last_used_at(row, NOW) == used_at


@pytest.mark.parametrize(
    ("rotated_at", "used_before"),
    [
        (NOW - timedelta(minutes=4), NOW - timedelta(minutes=4)),  # before the five minutes
        (NOW - timedelta(minutes=3), NOW - timedelta(hours=9)),  # at their start
    ],
)
def test_a_rotation_keeps_the_last_use_before_the_present_five_minutes(
    rows: Rows, rotated_at: datetime, used_before: datetime
) -> None:
    """S-073: what is told about the last use does not change within them."""
    sid = rows.create(rotated_at=rotated_at, used_before=NOW - timedelta(hours=9))
    with rows.database.transaction() as tx:
        rotate(tx, sid, PresentedToken(1, None, NOW), LIMITS)
    assert rows.row(sid).used_before == used_before
