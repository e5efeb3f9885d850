"""Sessions: one row per sign-in, and the rule of refresh-token rotation.

The row holds the generation of the refresh token that is good now; no token is stored. A refresh
token is handed out once: to whoever came first, and again only to the very same attempt. `judge`
is the rule as a table, `rotate` is the same rule as one `UPDATE`: the database decides a race, on
SQLite and on PostgreSQL at READ COMMITTED alike. Everything here works on a transaction that the
flow opened.
Source: RFC 9700 section 4.14.2, with the deviation that docs/adr/0003 explains.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Protocol

from sqlalchemy import (
    BigInteger,
    Connection,
    ForeignKey,
    Index,
    String,
    Text,
    and_,
    bindparam,
    case,
    or_,
    select,
    update,
)
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db import AnyRow, Database, Model

NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # before every `rotated_at`
ALWAYS = datetime(9000, 1, 1, tzinfo=UTC)  # after every `rotated_at`
LAST_USED_STEP = timedelta(minutes=5)
NO_ROOT = 0  # no token has this generation: the first is 1


class AuthSession(Model):
    """One sign-in of one user.

    `gen`: generation of the refresh token that is good now. `root_gen`: the last generation before
    it that somebody was seen to hold, `NO_ROOT` at sign-in and after a change of password. `seen`:
    somebody was seen to hold `gen` itself. `renewed_gen`: the generation that the sign-in or the
    last change of password made; no token of an earlier one is good. `checkpoint_gen`: the root as
    it was at `checkpoint_at`, set anew by a rotation when it is a window old. `settled_gen`: the
    checkpoint before it; what is older was replaced more than a window ago. `attempt`: hash of the
    attempt id that made `gen`, if it had one. `epoch`: that of everybody's sessions when this one
    began. `auth_time`: when a password was proved last, in seconds since 1970. `scope`: what was
    asked for at sign-in, or null for all. `delivery`: `body` or `cookie`, fixed at sign-in.
    `used_before`: the last rotation before the five minutes in which `rotated_at` lies.
    """

    __tablename__ = "itemsapi_session"
    __table_args__ = (Index(None, "user_id", "ended_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("itemsapi_user.id", ondelete="CASCADE"))
    gen: Mapped[int] = mapped_column(BigInteger, default=1)
    root_gen: Mapped[int] = mapped_column(BigInteger, default=NO_ROOT)
    renewed_gen: Mapped[int] = mapped_column(BigInteger, default=1)
    seen: Mapped[bool] = mapped_column(default=True)
    checkpoint_gen: Mapped[int] = mapped_column(BigInteger, default=NO_ROOT)
    checkpoint_at: Mapped[datetime]
    settled_gen: Mapped[int] = mapped_column(BigInteger, default=NO_ROOT)
    attempt: Mapped[str | None] = mapped_column(String(64))
    epoch: Mapped[int] = mapped_column(BigInteger)
    delivery: Mapped[str] = mapped_column(String(10))
    scope: Mapped[str | None] = mapped_column(Text)
    amr: Mapped[str] = mapped_column(String(60))
    auth_time: Mapped[int] = mapped_column(BigInteger)
    device: Mapped[str] = mapped_column(String(120))
    address: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    rotated_at: Mapped[datetime]
    used_before: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    ended_because: Mapped[str | None] = mapped_column(String(40))


class RotationOutcome(Enum):
    """What comes of a refresh token that is presented."""

    ROTATE = "rotated"
    AGAIN = "same attempt"  # the answer was lost: the same successor, byte for byte
    ACCESS = "lost a race"  # an access token alone; the refresh token went to whoever was first
    WAIT = "superseded a moment ago"  # a late request or a copy: the window leaves it undecided
    HEAL = "answer lost"  # nobody has seen the successor: a new one, and the old one is revoked
    LATE = "predecessor late"  # the successor is in use: a copy
    OLDER = "older generation"  # a copy
    VOID = "before a change of password"
    UNISSUED = "generation never issued"  # a backup was restored, or rows were lost
    ENDED = "session over"

    @property
    def copied(self) -> bool:
        """Tell whether the session has to end: the token was copied, or rows were lost."""
        return self in {
            RotationOutcome.LATE,
            RotationOutcome.OLDER,
            RotationOutcome.UNISSUED,
        }


class Rotatable(Protocol):
    """What the rule looks at in a session's row."""

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
    """How long a session lives without a refresh, and how forgiving rotation is.

    `grace`: the window after a rotation in which races are forgiven. `heal`: whether a lost answer
    is.
    """

    idle: timedelta
    grace: timedelta
    heal: bool


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A refresh token that is presented: its generation, and the hash of its attempt id."""

    gen: int
    attempt: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """The outcome of presenting a refresh token, and the session's row as it is after it."""

    outcome: RotationOutcome
    session: AnyRow | None


_table = AuthSession.core()
_ROW = select(_table).where(_table.c.id == bindparam("sid"))
_OF_USER = (
    select(_table.c.id)
    .where(_table.c.user_id == bindparam("user_id"), _table.c.ended_at.is_(None))
    .order_by(_table.c.id)
    .with_for_update()
)
_ALIVE = (
    _table.c.id == bindparam("sid"),
    _table.c.ended_at.is_(None),
    _table.c.expires_at > bindparam("now"),
    _table.c.rotated_at > bindparam("idle_since"),
)
_MAY_HEAL = and_(
    _table.c.seen.is_(False),
    _table.c.root_gen == bindparam("presented"),
    _table.c.rotated_at < bindparam("heals_before"),
    _table.c.attempt.is_distinct_from(bindparam("same_attempt")),
)
_USED_BEFORE = case(
    (_table.c.rotated_at < bindparam("step"), _table.c.rotated_at), else_=_table.c.used_before
)
_DUE = _table.c.checkpoint_at < bindparam("checkpoint_before")
_ROTATE = (
    update(_table)
    .where(
        *_ALIVE,
        or_(_table.c.gen == bindparam("presented"), _MAY_HEAL),
    )
    .values(
        gen=_table.c.gen + 1,
        root_gen=bindparam("presented"),
        seen=False,
        rotated_at=bindparam("now"),
        used_before=_USED_BEFORE,
        settled_gen=case((_DUE, _table.c.checkpoint_gen), else_=_table.c.settled_gen),
        checkpoint_gen=case((_DUE, bindparam("presented")), else_=_table.c.checkpoint_gen),
        checkpoint_at=case((_DUE, bindparam("now")), else_=_table.c.checkpoint_at),
        attempt=bindparam("made_by"),
    )
)
_RENEW = (
    update(_table)
    .where(*_ALIVE)
    .values(
        gen=_table.c.gen + 1,
        root_gen=NO_ROOT,
        renewed_gen=_table.c.gen + 1,
        seen=True,
        rotated_at=bindparam("now"),
        used_before=_USED_BEFORE,
        attempt=None,
        auth_time=bindparam("at"),
    )
)
_SEEN = (
    update(_table)
    .where(
        _table.c.id == bindparam("sid"),
        _table.c.gen >= bindparam("used"),
        _table.c.root_gen < bindparam("used"),
        _table.c.seen.is_(False),
    )
    .values(seen=True)
)
_END = (
    update(_table)
    .where(_table.c.id == bindparam("sid"), _table.c.ended_at.is_(None))
    .values(ended_at=bindparam("now"), ended_because=bindparam("why"))
)


def judge(session: Rotatable, shown: PresentedToken, limits: RotationLimits) -> RotationOutcome:
    """Say what comes of a refresh token of a live session: the rule of docs/adr/0003, row by row.

    A token that was replaced more than a window ago does not wait: a thief who rotates again and
    again would keep its owner waiting. In the window after a healing nobody gets an access token
    alone: a thief who heals again and again would live on them beside the owner. A clock that was
    set back since the last rotation leaves the window open.
    """
    if shown.gen == session.gen:
        return RotationOutcome.ROTATE
    if shown.gen > session.gen:
        return RotationOutcome.UNISSUED
    return _judge_older(session, shown, limits)


def _judge_older(
    session: Rotatable, shown: PresentedToken, limits: RotationLimits
) -> RotationOutcome:
    is_root = shown.gen == session.root_gen
    if is_root and limits.heal and _same(shown.attempt, session.attempt):
        return RotationOutcome.AGAIN
    in_window = shown.now - session.rotated_at <= limits.grace
    if limits.grace and in_window and shown.gen >= session.settled_gen:
        lost_a_race = is_root and session.gen == session.root_gen + 1
        return RotationOutcome.ACCESS if lost_a_race else RotationOutcome.WAIT
    if is_root:
        may_heal = limits.heal and not session.seen
        return RotationOutcome.HEAL if may_heal else RotationOutcome.LATE
    is_void = shown.gen < session.renewed_gen
    return RotationOutcome.VOID if is_void else RotationOutcome.OLDER


def rotate(tx: Session, sid: str, shown: PresentedToken, limits: RotationLimits) -> Rotation:
    """Rotate or heal a session by the refresh token shown, or say what else comes of it."""
    values = {
        "sid": sid,
        "presented": shown.gen,
        "now": shown.now,
        "idle_since": shown.now - limits.idle,
        "step": _step(shown.now),
        "checkpoint_before": shown.now - limits.grace,
        "heals_before": _heals_before(shown.now, limits),
        "same_attempt": shown.attempt or "",  # null would equal that of a row without an attempt
        "made_by": shown.attempt,
    }
    won = changed(tx, _ROTATE, values)
    session = find(tx, sid)
    if session is None or not alive(session, shown.now, limits.idle):
        return Rotation(RotationOutcome.ENDED, session)
    if won:
        healed = session.gen > shown.gen + 1
        return Rotation(RotationOutcome.HEAL if healed else RotationOutcome.ROTATE, session)
    outcome = judge(session, shown, limits)
    if outcome in {RotationOutcome.ROTATE, RotationOutcome.HEAL}:
        outcome = RotationOutcome.WAIT  # the row moved between the two statements: ask again
    return Rotation(outcome, session)


def _heals_before(now: datetime, limits: RotationLimits) -> datetime:
    """Return the moment before which the last rotation must lie for a token to heal."""
    if not limits.heal:
        return NEVER
    return now - limits.grace if limits.grace else ALWAYS


def _same(shown: str | None, stored: str | None) -> bool:
    """Tell whether two attempts are one, in the same time whichever they are (S-191)."""
    return bool(shown and stored and hmac.compare_digest(shown, stored))


def attempt_hash(sid: str, attempt_id: str | None) -> str | None:
    """Return the hash that is stored instead of the id of an attempt to refresh a session."""
    if attempt_id is None:
        return None
    return hashlib.sha256(f"{sid} {attempt_id}".encode()).hexdigest()


def renew(
    tx: Session, sid: str, *, now: datetime, idle: timedelta, auth_time: int
) -> AnyRow | None:
    """Make a new generation after which no older token is good; None if the session is over.

    It counts as seen at once, so that no older one heals.
    """
    limit = {"now": now, "idle_since": now - idle, "step": _step(now)}
    values = {"sid": sid, "at": auth_time} | limit
    return find(tx, sid) if changed(tx, _RENEW, values) else None


def alive(session: AnyRow, now: datetime, idle: timedelta) -> bool:
    """Tell whether a session is neither ended nor past its absolute or idle limit."""
    return session.ended_at is None and session.expires_at > now and session.rotated_at > now - idle


def last_used_at(session: AnyRow, now: datetime) -> datetime:
    """Return about when a session was refreshed last, before the five minutes that `now` lies in.

    Rounded down to five minutes, and the same for all of them: neither the time nor the moment at
    which it changes tells a thief when to present a copied token (S-073).
    """
    created_at: datetime = session.created_at
    used: datetime = session.rotated_at
    if used >= _step(now):
        used = session.used_before
    return max(created_at, _step(used))


def _step(moment: datetime) -> datetime:
    """Round a moment down to five minutes."""
    return moment - (moment - NEVER) % LAST_USED_STEP


def find(tx: Session | Connection, sid: str) -> AnyRow | None:
    """Return a session's row."""
    return tx.execute(_ROW, {"sid": sid}).first()


def lock_open_sessions(tx: Session, user_id: str) -> list[str]:
    """Return the ids of a user's sessions that did not end, and lock them in that order."""
    return list(tx.scalars(_OF_USER, {"user_id": user_id}).all())


def end(tx: Session, sid: str, *, now: datetime, why: str) -> bool:
    """End a session; tell whether it was still open."""
    return changed(tx, _END, {"sid": sid, "now": now, "why": why})


def note_seen(database: Database, sid: str, gen: int) -> None:
    """Note that a token of generation `gen` was seen: its predecessor heals no more.

    So does one that was superseded, whose access token is good for a moment still: a thief could
    heal again and again, and use just those.
    """
    with database.transaction() as tx:
        tx.execute(_SEEN, {"sid": sid, "used": gen})


def changed(tx: Session, statement: object, values: dict[str, object]) -> bool:
    """Run a statement that changes one row or none; tell whether it changed one."""
    result = tx.execute(statement, values)  # type: ignore[call-overload]  # any DML will do
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return bool(result.rowcount == 1)
