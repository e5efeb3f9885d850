"""Sessions: one row per sign-in.

The row contains the generation of the current refresh token; no token is stored. `tokens.rotation`
has the rule by which the generation changes. All functions work in a transaction of the caller.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Connection,
    Index,
    Integer,
    String,
    Text,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db import AnyRow, Lookup, Model, fetch, fetch_first

YEAR_1970 = datetime(1970, 1, 1, tzinfo=UTC)
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
    user_id: Mapped[str] = mapped_column(String(128))
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


_table = AuthSession.core()
_ROW = Lookup(select(_table).where(_table.c.id == bindparam("sid")))
_OPEN_OF_USER = (
    select(_table.c.id)
    .where(_table.c.user_id == bindparam("user_id"), _table.c.ended_at.is_(None))
    .order_by(_table.c.id)
    .with_for_update()
)
_INSERT = Lookup(insert(_table).returning(_table))
_BEYOND_LIMIT = Lookup(
    select(_table.c.id)
    .where(_table.c.user_id == bindparam("user_id"), _table.c.ended_at.is_(None))
    .where(_table.c.expires_at > bindparam("now"), _table.c.rotated_at > bindparam("idle_since"))
    .order_by(_table.c.created_at.desc(), _table.c.id.desc())
    .offset(bindparam("allowed", type_=Integer))
)
_END = (
    update(_table)
    .where(_table.c.id == bindparam("sid"), _table.c.ended_at.is_(None))
    .values(ended_at=bindparam("now"), ended_because=bindparam("why"))
)


def find_session(tx: Session | Connection, sid: str) -> AnyRow | None:
    """Return the row of a session; None if there is none."""
    return fetch_first(tx, _ROW, {"sid": sid})


def insert_session(tx: Session, **columns: object) -> AnyRow:
    """Store a new session and return its row; a column without a value gets its default."""
    return fetch(tx, _INSERT, columns)[0]


def sessions_beyond_limit(
    tx: Session, user_id: str, allowed: int, *, now: datetime, max_idle: timedelta
) -> list[str]:
    """Return the ids of the live sessions of a user but the `allowed` newest, in order of id."""
    values = {"user_id": user_id, "now": now, "idle_since": now - max_idle, "allowed": allowed}
    return sorted(row.id for row in fetch(tx, _BEYOND_LIMIT, values))


def lock_open_sessions(tx: Session, user_id: str) -> list[str]:
    """Lock the sessions of a user that have not ended, in the order of their ids; return those."""
    return list(tx.scalars(_OPEN_OF_USER, {"user_id": user_id}).all())


def end_session(tx: Session, sid: str, *, now: datetime, reason: str) -> bool:
    """End a session. Return whether it was open."""
    return update_one(tx, _END, {"sid": sid, "now": now, "why": reason})


def update_one(tx: Session, statement: object, values: dict[str, object]) -> bool:
    """Execute a statement that changes at most one row. Return whether it changed one."""
    result = tx.execute(statement, values)  # type: ignore[call-overload]  # any DML statement
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return bool(result.rowcount == 1)


def is_alive(session: AnyRow, now: datetime, idle: timedelta) -> bool:
    """Return whether a session has neither ended nor passed its absolute or idle limit."""
    return session.ended_at is None and session.expires_at > now and session.rotated_at > now - idle


def last_used_at(session: AnyRow, now: datetime) -> datetime:
    """Return when a session was last refreshed before the five minutes that contain `now`.

    The time is rounded down to five minutes and constant within them, so it does not show a
    thief when to present a copied token (S-073).
    """
    created_at: datetime = session.created_at
    used_at: datetime = session.rotated_at
    if used_at >= last_used_step(now):
        used_at = session.used_before
    return max(created_at, last_used_step(used_at))


def last_used_step(time: datetime) -> datetime:
    """Return the start of the five minutes that contain a time."""
    return time - (time - YEAR_1970) % LAST_USED_RESOLUTION
