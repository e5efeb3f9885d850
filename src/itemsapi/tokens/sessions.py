"""Sessions: one row per sign-in, and the one statement that turns a refresh token over.

The row holds the generation of the refresh token that is good now; no token is stored. Rotation is
`UPDATE ... WHERE gen = :presented`: the database decides a race, on SQLite and on PostgreSQL at
READ COMMITTED alike. Everything here works on a transaction that the flow opened.
Source: RFC 9700 section 4.14.2, with the deviation that docs/adr/0003 explains.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import (
    BigInteger,
    Connection,
    ForeignKey,
    Index,
    String,
    Text,
    bindparam,
    select,
    update,
)
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db import AnyRow, Database, Model

BACKWARDS = timedelta(seconds=60)  # how far a clock may have stepped back within the grace window


class AuthSession(Model):
    """One sign-in of one user.

    `gen`: generation of the refresh token that is good now. `confirmed`: somebody has shown a
    token of that generation. `auth_time`: seconds since 1970 of the sign-in. `scope`: what was
    asked for at sign-in, or null for all. `delivery`: `body` or `cookie`, fixed at sign-in.
    """

    __tablename__ = "auth_session"
    __table_args__ = (Index("ix_auth_session_account_id_ended_at", "account_id", "ended_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    gen: Mapped[int] = mapped_column(BigInteger, default=1)
    confirmed: Mapped[bool] = mapped_column(default=False)
    delivery: Mapped[str] = mapped_column(String(10))
    scope: Mapped[str | None] = mapped_column(Text)
    amr: Mapped[str] = mapped_column(String(60))
    auth_time: Mapped[int] = mapped_column(BigInteger)
    device: Mapped[str] = mapped_column(String(120))
    address: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    rotated_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    ended_because: Mapped[str | None] = mapped_column(String(40))


class Turn(Enum):
    """What came of a refresh token that was presented."""

    ROTATED = "rotated"
    GRACE = "grace"  # the direct predecessor, within the window: the same successor again
    HEALED = "healed"  # the direct predecessor, late, but nobody has seen its successor
    LATE = "predecessor late"  # the direct predecessor, and its successor is in use: a copy
    OLDER = "older generation"
    UNISSUED = "generation never issued"  # a backup was restored, or rows were lost
    ENDED = "session over"

    @property
    def good(self) -> bool:
        """Tell whether a successor is handed out."""
        return self in {Turn.ROTATED, Turn.GRACE, Turn.HEALED}

    @property
    def copied(self) -> bool:
        """Tell whether the token must have been copied, so that the session has to end."""
        return self in {Turn.LATE, Turn.OLDER, Turn.UNISSUED}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session and its predecessors live."""

    idle: timedelta
    grace: timedelta
    heal: bool


@dataclass(frozen=True, slots=True)
class Rotation:
    """The outcome of presenting a refresh token, and the session's row as it is after it."""

    turn: Turn
    session: AnyRow | None


_table = AuthSession.core()
_ROW = select(_table).where(_table.c.id == bindparam("sid"))
_ROTATE = (
    update(_table)
    .where(
        _table.c.id == bindparam("sid"),
        _table.c.gen == bindparam("presented"),
        _table.c.ended_at.is_(None),
        _table.c.expires_at > bindparam("now"),
        _table.c.rotated_at > bindparam("idle_since"),
    )
    .values(gen=_table.c.gen + 1, rotated_at=bindparam("now"), confirmed=False)
)
_CONFIRM = (
    update(_table)
    .where(
        _table.c.id == bindparam("sid"),
        _table.c.gen == bindparam("presented"),
        _table.c.confirmed.is_(False),
    )
    .values(confirmed=True)
)
_END = (
    update(_table)
    .where(_table.c.id == bindparam("sid"), _table.c.ended_at.is_(None))
    .values(ended_at=bindparam("now"), ended_because=bindparam("why"), confirmed=True)
)


def rotate(tx: Session, sid: str, presented: int, *, now: datetime, limits: Limits) -> Rotation:
    """Turn generation `presented` of a session into the next one, or say what is wrong with it."""
    values = {"sid": sid, "presented": presented, "now": now, "idle_since": now - limits.idle}
    won = changed(tx, _ROTATE, values)
    session = find(tx, sid)
    if won:
        return Rotation(Turn.ROTATED, session)
    return Rotation(_judge(session, presented, now, limits), session)


def _judge(session: AnyRow | None, presented: int, now: datetime, limits: Limits) -> Turn:
    if session is None or not alive(session, now, limits.idle):
        return Turn.ENDED
    if presented >= session.gen:
        return Turn.UNISSUED
    if presented < session.gen - 1:
        return Turn.OLDER
    if -BACKWARDS <= now - session.rotated_at <= limits.grace and limits.grace:
        return Turn.GRACE
    return Turn.HEALED if limits.heal and not session.confirmed else Turn.LATE


def alive(session: AnyRow, now: datetime, idle: timedelta) -> bool:
    """Tell whether a session is neither ended nor past its absolute or idle limit."""
    return session.ended_at is None and session.expires_at > now and session.rotated_at > now - idle


def find(tx: Session | Connection, sid: str) -> AnyRow | None:
    """Return a session's row."""
    return tx.execute(_ROW, {"sid": sid}).first()


def end(tx: Session, sid: str, *, now: datetime, why: str) -> bool:
    """End a session; tell whether it was still open."""
    return changed(tx, _END, {"sid": sid, "now": now, "why": why})


def confirm(database: Database, sid: str, gen: int) -> None:
    """Note that a token of generation `gen` was seen: its predecessor heals no more."""
    with database.transaction() as tx:
        tx.execute(_CONFIRM, {"sid": sid, "presented": gen})


def changed(tx: Session, statement: object, values: dict[str, object]) -> bool:
    """Run a statement that changes one row or none; tell whether it changed one."""
    result = tx.execute(statement, values)  # type: ignore[call-overload]  # any DML will do
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return bool(result.rowcount == 1)
