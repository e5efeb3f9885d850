"""Rotation: which generation of refresh tokens a session has, and who gets the next one.

A refresh token is issued once: to the first request that presents its predecessor, and again
only to a repetition of that same attempt. `decide_outcome` is the rule as a table, `rotate` is the
same rule as one `UPDATE`: the database decides a race, on SQLite and on PostgreSQL at READ
COMMITTED alike. All functions but `mark_generation_seen` work in a transaction of the caller.
Source: RFC 9700 section 4.14.2, with the deviation that docs/adr/0003 explains.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Protocol

from sqlalchemy import and_, bindparam, case, or_, update
from sqlalchemy.orm import Session

from itemsapi.db import AnyRow, Database, Lookup, fetch_first
from itemsapi.tokens.sessions import (
    NO_ROOT_GENERATION,
    AuthSession,
    find_session,
    is_alive,
    last_used_step,
    update_one,
)

DISTANT_PAST = datetime(1970, 1, 1, tzinfo=UTC)  # before every `rotated_at`
DISTANT_FUTURE = datetime(9000, 1, 1, tzinfo=UTC)  # after every `rotated_at`


class RotationOutcome(Enum):
    """The outcome of presenting a refresh token."""

    ROTATE = "rotated"
    REPEAT = "same attempt"  # the response was lost: return the same successor, byte for byte
    ACCESS_ONLY = "lost a race"  # an access token; the first request got the refresh token
    RETRY_LATER = "superseded a moment ago"  # within the window: a late request or a copy
    HEAL = "response lost"  # nobody received the successor: issue a new one, revoke the old one
    PREDECESSOR_REUSED = "predecessor reused"  # the successor is in use: the token was copied
    OLDER_REUSED = "older generation"  # the token was copied
    INVALIDATED = "before a change of password"
    NEVER_ISSUED = "generation never issued"  # a backup was restored, or rows were lost
    SESSION_ENDED = "session ended"

    @property
    def ends_session(self) -> bool:
        """Return whether the session must end: the token was copied, or rows were lost."""
        return self in {
            RotationOutcome.PREDECESSOR_REUSED,
            RotationOutcome.OLDER_REUSED,
            RotationOutcome.NEVER_ISSUED,
        }


class RotationState(Protocol):
    """The columns of a session that the rotation rule uses."""

    @property
    def gen(self) -> int: ...  # noqa: D102 - see AuthSession
    @property
    def root_gen(self) -> int: ...  # noqa: D102
    @property
    def renewed_gen(self) -> int: ...  # noqa: D102
    @property
    def settled_gen(self) -> int: ...  # noqa: D102
    @property
    def seen(self) -> bool: ...  # noqa: D102
    @property
    def attempt(self) -> str | None: ...  # noqa: D102
    @property
    def rotated_at(self) -> datetime: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class RotationLimits:
    """Limits of rotation.

    `max_idle`: lifetime of a session without a refresh. `grace`: window after a rotation in which
    races are tolerated. `heal`: whether the session survives a lost response.
    """

    max_idle: timedelta
    grace: timedelta
    heal: bool


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A presented refresh token: its generation, and the hash of the attempt id sent with it."""

    gen: int
    attempt: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """The outcome of presenting a refresh token, and the row of the session afterwards."""

    outcome: RotationOutcome
    session: AnyRow | None


_table = AuthSession.core()
_IS_ALIVE = (
    _table.c.id == bindparam("sid"),
    _table.c.ended_at.is_(None),
    _table.c.expires_at > bindparam("now"),
    _table.c.rotated_at > bindparam("idle_since"),
)
_CAN_HEAL = and_(
    _table.c.seen.is_(False),
    _table.c.root_gen == bindparam("presented"),
    _table.c.rotated_at < bindparam("heals_before"),
    _table.c.attempt.is_distinct_from(bindparam("same_attempt")),
)
_USED_BEFORE = case(
    (_table.c.rotated_at < bindparam("step"), _table.c.rotated_at), else_=_table.c.used_before
)
_CHECKPOINT_DUE = _table.c.checkpoint_at < bindparam("checkpoint_before")
_ROTATE = Lookup(
    update(_table)
    .where(
        *_IS_ALIVE,
        or_(_table.c.gen == bindparam("presented"), _CAN_HEAL),
    )
    .values(
        gen=_table.c.gen + 1,
        root_gen=bindparam("presented"),
        seen=False,
        rotated_at=bindparam("now"),
        used_before=_USED_BEFORE,
        settled_gen=case((_CHECKPOINT_DUE, _table.c.checkpoint_gen), else_=_table.c.settled_gen),
        checkpoint_gen=case(
            (_CHECKPOINT_DUE, bindparam("presented")), else_=_table.c.checkpoint_gen
        ),
        checkpoint_at=case((_CHECKPOINT_DUE, bindparam("now")), else_=_table.c.checkpoint_at),
        attempt=bindparam("made_by"),
    )
    .returning(_table)
)
_RENEW = (
    update(_table)
    .where(*_IS_ALIVE)
    .values(
        gen=_table.c.gen + 1,
        root_gen=NO_ROOT_GENERATION,
        renewed_gen=_table.c.gen + 1,
        seen=True,
        rotated_at=bindparam("now"),
        used_before=_USED_BEFORE,
        attempt=None,
        auth_time=bindparam("at"),
    )
)
_MARK_SEEN = (
    update(_table)
    .where(
        _table.c.id == bindparam("sid"),
        _table.c.gen >= bindparam("used"),
        _table.c.root_gen < bindparam("used"),
        _table.c.seen.is_(False),
    )
    .values(seen=True)
)


def decide_outcome(
    session: RotationState, presented: PresentedToken, limits: RotationLimits
) -> RotationOutcome:
    """Return the outcome for a refresh token of an active session: the rule of docs/adr/0003.

    A token that was replaced more than a grace window ago never gets `RETRY_LATER`: otherwise a
    thief who keeps rotating could make its owner wait forever. In the window after a healing no
    token gets `ACCESS_ONLY`: a thief who keeps healing could use those access tokens unnoticed. If
    the clock was set back since the last rotation, the window stays open.
    """
    if presented.gen == session.gen:
        return RotationOutcome.ROTATE
    if presented.gen > session.gen:
        return RotationOutcome.NEVER_ISSUED
    return _outcome_of_older(session, presented, limits)


def _outcome_of_older(
    session: RotationState, presented: PresentedToken, limits: RotationLimits
) -> RotationOutcome:
    is_root = presented.gen == session.root_gen
    if is_root and limits.heal and _is_same_attempt(presented.attempt, session.attempt):
        return RotationOutcome.REPEAT
    in_window = presented.now - session.rotated_at <= limits.grace
    if limits.grace and in_window and presented.gen >= session.settled_gen:
        lost_a_race = is_root and session.gen == session.root_gen + 1
        return RotationOutcome.ACCESS_ONLY if lost_a_race else RotationOutcome.RETRY_LATER
    if is_root:
        can_heal = limits.heal and not session.seen
        return RotationOutcome.HEAL if can_heal else RotationOutcome.PREDECESSOR_REUSED
    invalidated = presented.gen < session.renewed_gen
    return RotationOutcome.INVALIDATED if invalidated else RotationOutcome.OLDER_REUSED


def rotate(tx: Session, sid: str, presented: PresentedToken, limits: RotationLimits) -> Rotation:
    """Rotate or heal a session with the presented refresh token, or return why not."""
    values = {
        "sid": sid,
        "presented": presented.gen,
        "now": presented.now,
        "idle_since": presented.now - limits.max_idle,
        "step": last_used_step(presented.now),
        "checkpoint_before": presented.now - limits.grace,
        "heals_before": _heals_before(presented.now, limits),
        "same_attempt": presented.attempt or "",  # null would match a row without an attempt
        "made_by": presented.attempt,
    }
    if rotated := fetch_first(tx, _ROTATE, values):
        healed = rotated.gen > presented.gen + 1
        return Rotation(RotationOutcome.HEAL if healed else RotationOutcome.ROTATE, rotated)
    session = find_session(tx, sid)
    if session is None or not is_alive(session, presented.now, limits.max_idle):
        return Rotation(RotationOutcome.SESSION_ENDED, session)
    outcome = decide_outcome(session, presented, limits)
    if outcome in {RotationOutcome.ROTATE, RotationOutcome.HEAL}:
        outcome = RotationOutcome.RETRY_LATER  # the row changed between the two statements
    return Rotation(outcome, session)


def _heals_before(now: datetime, limits: RotationLimits) -> datetime:
    """Return the time before which the last rotation must lie for a token to heal."""
    if not limits.heal:
        return DISTANT_PAST
    return now - limits.grace if limits.grace else DISTANT_FUTURE


def _is_same_attempt(sent: str | None, stored: str | None) -> bool:
    """Return whether two hashes of attempt ids are equal, in constant time (S-191)."""
    return bool(sent and stored and hmac.compare_digest(sent, stored))


def attempt_hash(sid: str, attempt_id: str | None) -> str | None:
    """Return the hash that is stored in place of the attempt id of a refresh."""
    if attempt_id is None:
        return None
    return hashlib.sha256(f"{sid} {attempt_id}".encode()).hexdigest()


def renew_session(
    tx: Session, sid: str, *, now: datetime, max_idle: timedelta, auth_time: int
) -> AnyRow | None:
    """Create a generation and invalidate all older tokens; return None if the session has ended.

    The generation counts as seen, so that no older one can heal.
    """
    limits = {"now": now, "idle_since": now - max_idle, "step": last_used_step(now)}
    values = {"sid": sid, "at": auth_time} | limits
    return find_session(tx, sid) if update_one(tx, _RENEW, values) else None


def mark_generation_seen(database: Database, sid: str, gen: int) -> None:
    """Record that a client uses a token of generation `gen`: its predecessor cannot heal any more.

    This includes a superseded generation, whose access token is valid for a short time still:
    otherwise a thief who keeps healing could use those access tokens unnoticed.
    """
    with database.transaction() as tx:
        tx.execute(_MARK_SEEN, {"sid": sid, "used": gen})
