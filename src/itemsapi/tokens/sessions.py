"""Sessions: one row per sign-in, and the rule of refresh-token rotation.

The row contains the generation of the current refresh token; no token is stored. A refresh token is
handed out once: to the first request that presents its predecessor, and again only to a repetition
of that same attempt. `decide_outcome` is the rule as a table, `rotate` is the same rule as one
`UPDATE`: the database decides a race, on SQLite and on PostgreSQL at READ COMMITTED alike. All
functions but `mark_generation_seen` work in a transaction of the caller.
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

DISTANT_PAST = datetime(1970, 1, 1, tzinfo=UTC)  # before every `rotated_at`
DISTANT_FUTURE = datetime(9000, 1, 1, tzinfo=UTC)  # after every `rotated_at`
LAST_USED_RESOLUTION = timedelta(minutes=5)
NO_ROOT_GENERATION = 0  # no token has it: the first generation is 1


class AuthSession(Model):
    """One sign-in of one user.

    `gen`: generation of the current refresh token. `root_gen`: the last earlier generation that a
    client is known to have received; `NO_ROOT_GENERATION` after a sign-in and a change of password.
    `seen`: a client is known to have received `gen` itself. `renewed_gen`: the generation created
    by the sign-in or the last change of password; tokens of earlier ones are invalid.
    `checkpoint_gen`: the root at the time `checkpoint_at`; a rotation sets it again when it is one
    grace window old. `settled_gen`: the checkpoint before it; tokens of earlier generations were
    replaced more than one grace window ago. `attempt`: hash of the attempt id that created `gen`,
    if there was one. `epoch`: the epoch of all users' sessions when this one began. `auth_time`:
    when a password was last verified, in seconds since 1970. `scope`: the scopes requested at
    sign-in, or null for all. `delivery`: `body` or `cookie`, fixed at sign-in. `used_before`: the
    last rotation before the five minutes that contain `rotated_at`.
    """

    __tablename__ = "itemsapi_session"
    __table_args__ = (Index(None, "user_id", "ended_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("itemsapi_user.id", ondelete="CASCADE"))
    gen: Mapped[int] = mapped_column(BigInteger, default=1)
    root_gen: Mapped[int] = mapped_column(BigInteger, default=NO_ROOT_GENERATION)
    renewed_gen: Mapped[int] = mapped_column(BigInteger, default=1)
    seen: Mapped[bool] = mapped_column(default=True)
    checkpoint_gen: Mapped[int] = mapped_column(BigInteger, default=NO_ROOT_GENERATION)
    checkpoint_at: Mapped[datetime]
    settled_gen: Mapped[int] = mapped_column(BigInteger, default=NO_ROOT_GENERATION)
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
    """The outcome of presenting a refresh token."""

    ROTATE = "rotated"
    REPEAT = "same attempt"  # the response was lost: return the same successor, byte for byte
    ACCESS_ONLY = "lost a race"  # an access token; the first request got the refresh token
    RETRY_LATER = "superseded a moment ago"  # within the window: a late request or a copy
    HEAL = "answer lost"  # nobody received the successor: issue a new one, revoke the old one
    PREDECESSOR_REUSED = "predecessor late"  # the successor is in use: the token was copied
    OLDER_REUSED = "older generation"  # the token was copied
    INVALIDATED = "before a change of password"
    NEVER_ISSUED = "generation never issued"  # a backup was restored, or rows were lost
    SESSION_ENDED = "session over"

    @property
    def ends_session(self) -> bool:
        """Tell whether the session must end: the token was copied, or rows were lost."""
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
_ROW = select(_table).where(_table.c.id == bindparam("sid"))
_OPEN_OF_USER = (
    select(_table.c.id)
    .where(_table.c.user_id == bindparam("user_id"), _table.c.ended_at.is_(None))
    .order_by(_table.c.id)
    .with_for_update()
)
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
_ROTATE = (
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
_END = (
    update(_table)
    .where(_table.c.id == bindparam("sid"), _table.c.ended_at.is_(None))
    .values(ended_at=bindparam("now"), ended_because=bindparam("why"))
)


def decide_outcome(
    session: RotationState, presented: PresentedToken, limits: RotationLimits
) -> RotationOutcome:
    """Return the outcome for a refresh token of an active session: the rule of docs/adr/0003.

    A token that was replaced more than a grace window ago never gets `RETRY_LATER`: otherwise a
    thief who rotates again and again would make its owner wait for ever. In the window after a
    healing no token gets `ACCESS_ONLY`: a thief who heals again and again would live on those
    access tokens beside the owner. If the clock was set back since the last rotation, the window
    stays open.
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
        "step": _round_down(presented.now),
        "checkpoint_before": presented.now - limits.grace,
        "heals_before": _heals_before(presented.now, limits),
        "same_attempt": presented.attempt or "",  # null would match a row without an attempt
        "made_by": presented.attempt,
    }
    is_updated = update_one(tx, _ROTATE, values)
    session = find_session(tx, sid)
    if session is None or not is_alive(session, presented.now, limits.max_idle):
        return Rotation(RotationOutcome.SESSION_ENDED, session)
    if is_updated:
        healed = session.gen > presented.gen + 1
        return Rotation(RotationOutcome.HEAL if healed else RotationOutcome.ROTATE, session)
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
    """Compare the hashes of two attempt ids in constant time (S-191)."""
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
    limits = {"now": now, "idle_since": now - max_idle, "step": _round_down(now)}
    values = {"sid": sid, "at": auth_time} | limits
    return find_session(tx, sid) if update_one(tx, _RENEW, values) else None


def is_alive(session: AnyRow, now: datetime, idle: timedelta) -> bool:
    """Tell whether a session has neither ended nor passed its absolute or idle limit."""
    return session.ended_at is None and session.expires_at > now and session.rotated_at > now - idle


def last_used_at(session: AnyRow, now: datetime) -> datetime:
    """Return when a session was last refreshed before the five minutes that contain `now`.

    The time is rounded down to five minutes and constant within them: neither the time nor when it
    changes tells a thief when to present a copied token (S-073).
    """
    created_at: datetime = session.created_at
    used_at: datetime = session.rotated_at
    if used_at >= _round_down(now):
        used_at = session.used_before
    return max(created_at, _round_down(used_at))


def _round_down(time: datetime) -> datetime:
    """Round a time down to five minutes."""
    return time - (time - DISTANT_PAST) % LAST_USED_RESOLUTION


def find_session(tx: Session | Connection, sid: str) -> AnyRow | None:
    """Return the row of a session; None if there is none."""
    return tx.execute(_ROW, {"sid": sid}).first()


def lock_open_sessions(tx: Session, user_id: str) -> list[str]:
    """Lock the sessions of a user that have not ended, in the order of their ids; return those."""
    return list(tx.scalars(_OPEN_OF_USER, {"user_id": user_id}).all())


def end_session(tx: Session, sid: str, *, now: datetime, reason: str) -> bool:
    """End a session; tell whether it was open."""
    return update_one(tx, _END, {"sid": sid, "now": now, "why": reason})


def mark_generation_seen(database: Database, sid: str, gen: int) -> None:
    """Record that a client uses a token of generation `gen`: its predecessor cannot heal any more.

    This includes a superseded generation, whose access token is valid for a short time still:
    otherwise a thief could heal again and again and use only those.
    """
    with database.transaction() as tx:
        tx.execute(_MARK_SEEN, {"sid": sid, "used": gen})


def update_one(tx: Session, statement: object, values: dict[str, object]) -> bool:
    """Execute a statement that changes at most one row; tell whether it changed one."""
    result = tx.execute(statement, values)  # type: ignore[call-overload]  # any DML statement
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return bool(result.rowcount == 1)
