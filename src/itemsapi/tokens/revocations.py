"""The revocation feed: what was taken back, known to every process within a second.

Rows are `(seq, target, not_before)`. A process keeps those that can still matter in memory and asks
for newer ones at most once per lag, inside a request that finds its copy older than that: no
thread, nothing to lose at a fork. A request costs two dictionary look-ups and no query.

Neither commit order nor clocks hide a row: writers take turns, so that `seq` is the order of
commits; and `not_before` lies `SKEW` ahead of the clock that wrote it, while tokens for the same
user are never issued with an earlier `iat` (docs/adr/0004).
"""

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, String, bindparam, event, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.clock import Clock, stamp
from itemsapi.db import NUMBER, AnyRow, Database, Model
from itemsapi.problems import DatabaseUnavailable, GateUnavailable, TokenInvalid

SKEW = 5  # seconds that the clocks of hosts may differ
PATIENCE = 5.0  # seconds without an answer from the feed before nobody is let in any more
MOMENT = 0.25  # seconds to wait for an answer that is under way; a healthy database takes a few ms
TOPIC = 7_202  # the advisory lock of writers
EVERYBODY = "*"
FOR_EVER = 2**53  # the not_before of a session that ended: no token of it is good


class Revocation(Model):
    """One thing taken back. `sessions`: not only tokens issued earlier, sessions begun earlier."""

    __tablename__ = "revocation"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - seq never starts again

    seq: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    target: Mapped[str] = mapped_column(String(40), index=True)
    not_before: Mapped[int] = mapped_column(BigInteger)
    sessions: Mapped[bool] = mapped_column(default=False)
    made_at: Mapped[datetime] = mapped_column(index=True)


_table = Revocation.core()
_ROWS = select(_table.c.seq, _table.c.target, _table.c.not_before, _table.c.made_at)
_NEWER = _ROWS.where(_table.c.seq >= bindparam("seq")).order_by(_table.c.seq)
_SINCE = _ROWS.where(_table.c.made_at > bindparam("since"))
_LAST = _ROWS.order_by(_table.c.seq.desc()).limit(1)
_EVERYBODY = select(
    func.coalesce(func.max(_table.c.not_before), 0),
    func.coalesce(func.max(_table.c.not_before).filter(_table.c.sessions), 0),
).where(_table.c.target == EVERYBODY)
SESSIONS_SINCE = (  # sessions of everybody begun earlier are over
    select(func.coalesce(func.max(_table.c.not_before), 0))
    .where(_table.c.target == EVERYBODY, _table.c.sessions)
    .scalar_subquery()
)
_LATEST = select(func.coalesce(func.max(_table.c.not_before), 0)).where(
    _table.c.not_before < FOR_EVER
)


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Seconds since 1970: tokens, and sessions, of everybody that began earlier are void."""

    tokens: int
    sessions: int


def not_before(now: datetime) -> int:
    """Return the first `iat` that a token issued after this moment will have, on any host."""
    return stamp(now) + SKEW + 1


def latest_moment(tx: Session) -> int:
    """Return the latest `not_before` of the feed, sessions that ended aside; 0 without any."""
    latest: int = tx.execute(_LATEST).scalar_one()
    return latest


def session_target(sid: str) -> str:
    """Name a session as a target."""
    return f"s:{sid}"


def user_target(user_id: str) -> str:
    """Name a user as a target."""
    return f"u:{user_id}"


def cutoff(tx: Session | Connection) -> Cutoff:
    """Return what was taken back from everybody."""
    tokens, sessions = tx.execute(_EVERYBODY).one()
    return Cutoff(tokens, sessions)


class Feed:
    """One process's copy of the revocations that can still matter, and the way to add to them."""

    def __init__(
        self, database: Database, clock: Clock, *, lag: timedelta, life: timedelta
    ) -> None:
        """Take how old the copy may be (`lag`) and how long a token can live (`life`)."""
        self._database, self._clock = database, clock
        self._bound = lag.total_seconds()
        self._lag = self._bound * 0.7  # the rest is for the answer to arrive
        self._life = life + timedelta(minutes=2)
        self._asking = threading.Lock()
        self._stopped: dict[str, int] = {}
        self._noted: dict[str, float] = {}
        self._writing = threading.Lock()
        self._last: AnyRow | None = None
        self._whole = False
        self._asked = self._known = float("-inf")
        self._failing = False

    @property
    def age(self) -> float:
        """Seconds since the copy was known to be whole."""
        return time.monotonic() - self._known

    def moment(self, tx: Session, *, after: int) -> int:
        """Return the `not_before` for something taken back now, and later than `after`.

        Nobody else writes to the feed until the transaction ends. Two in the same second differ, or
        a token minted between them would outlive the second one.
        """
        self._database.take_turns(tx, TOPIC)
        return max(not_before(self._clock()), after + 1)

    def revoke(
        self, tx: Session, target: str, *, moment: int = FOR_EVER, sessions: bool = False
    ) -> None:
        """Take something back in the transaction of the change that causes it.

        The row is for the other processes; this one knows as soon as the transaction commits.
        """
        self._database.take_turns(tx, TOPIC)
        row = {"target": target, "not_before": moment, "sessions": sessions}
        tx.execute(insert(_table), row | {"made_at": self._clock()})
        event.listen(tx, "after_commit", lambda _: self._note(target, moment), once=True)

    def check(self, *, sid: str, user_id: str, iat: int) -> None:
        """Let a token pass, or raise `TokenInvalid`; `GateUnavailable` if nobody can tell."""
        moment = time.monotonic()
        if moment - self._asked >= self._lag or moment - self._known > PATIENCE:
            self._ask()
        stopped = self._stopped
        if (
            f"s:{sid}" in stopped
            or iat < stopped.get(f"u:{user_id}", 0)
            or iat < stopped.get(EVERYBODY, 0)
        ):
            raise TokenInvalid

    def _ask(self) -> None:
        """Ask for newer rows; one thread does, the others go on with what is known so far.

        Where that is older than the lag, as after an idle time, they wait a moment, and where it
        is too old until there is an answer; unless the last question had none: no queue of threads
        stands before a dead database (R-04).
        """
        wait = MOMENT if self.age < PATIENCE else PATIENCE
        if self._asking.acquire(timeout=0 if self._failing or self.age < self._bound else wait):
            try:
                self._ask_alone()
            finally:
                self._asking.release()
        if self.age > PATIENCE:
            raise GateUnavailable

    def _ask_alone(self) -> None:
        begun = time.monotonic()
        if begun - self._asked < self._lag:
            return
        try:
            self._catch_up()
        except DatabaseUnavailable:
            self._failing, self._asked = True, time.monotonic()
        else:
            self._failing, self._asked, self._known = False, begun, begun

    def _catch_up(self) -> None:
        with self._database.reading() as connection:
            rows = self._news(connection)
        for row in rows:
            self._note(row.target, row.not_before)
        self._forget(time.monotonic() - self._life.total_seconds())

    def _news(self, connection: Connection) -> Sequence[AnyRow]:
        """Read what came after the last row known; all of it if that very row is there no more.

        Its number alone would not do: a restored backup gives numbers out again (R-28).
        """
        known = self._last
        if self._whole:
            rows = connection.execute(_NEWER, {"seq": known.seq if known else 0}).all()
            if known is None or (rows and rows[0] == known):
                self._last = rows[-1] if rows else None
                return rows[1:] if known else rows
        last = connection.execute(_LAST).first()
        rows = connection.execute(_SINCE, {"since": self._clock() - self._life}).all()
        found = [row for row in (last, *rows) if row is not None]
        self._last, self._whole = max(found, key=lambda row: row.seq, default=None), True
        return rows

    def _note(self, target: str, moment: int) -> None:
        """Remember one revocation; the later of two for the same target counts."""
        with self._writing:
            self._stopped[target] = max(moment, self._stopped.get(target, 0))
            self._noted.pop(target, None)
            self._noted[target] = time.monotonic()

    def _forget(self, before: float) -> None:
        """Drop what no living token can meet any more; the oldest note comes first."""
        with self._writing:
            old = itertools.takewhile(lambda entry: entry[1] < before, self._noted.items())
            for target, _ in list(old):
                del self._noted[target], self._stopped[target]
