"""The revocation feed: revocations, known to every process within a second.

Each row is `(seq, target)`. A process keeps the rows that can still affect a token in memory. A
request that finds this copy older than the lag reads newer rows; there is no background thread, so
a fork loses nothing. Checking a token takes four dictionary look-ups and no query.

`seq` is the order of commits, because a lock lets one transaction at a time write: neither commit
order nor clocks can hide a row. The `seq` of the latest revocation of a user, or of all users, is
their *epoch*. Every token contains the epoch of its time, and is invalid once there is a later one
(docs/adr/0004).
"""

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, String, bindparam, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.clock import Clock, Timer
from itemsapi.db import AnyRow, Database, Lookup, Model, fetch, has_joined, run_after_commit
from itemsapi.problems import DatabaseUnavailable, GateUnavailable, TokenInvalid

# The greatest age of a copy, as a part of the revocation lag; the rest is time for the query.
MAX_AGE_OF_COPY = 0.7

MAX_FEED_AGE_SECONDS = 5.0  # how long tokens are accepted while the feed cannot be read
FEED_WAIT_SECONDS = 0.25  # how long to wait for a read; a healthy database takes a few ms
FEED_LOCK_ID = 7_202  # of the advisory lock of writers
ALL_USERS = "*"
NO_EPOCH = 0  # before the first revocation


class Revocation(Model):
    """One revocation. `sessions`: it ends sessions of earlier epochs too, not only their tokens.

    `seq` is close to the milliseconds since 1970, and always greater than the one before, so that a
    restored database assigns none a second time.
    """

    __tablename__ = "itemsapi_revocation"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    target: Mapped[str] = mapped_column(String(140), index=True)
    sessions: Mapped[bool] = mapped_column(default=False)
    made_at: Mapped[datetime] = mapped_column(index=True)


_table = Revocation.core()
_ROWS = select(_table.c.seq, _table.c.target, _table.c.made_at)
_NEWER = _ROWS.where(_table.c.seq >= bindparam("seq")).order_by(_table.c.seq)
_FIRST_SINCE = select(func.min(_table.c.seq)).where(_table.c.made_at > bindparam("since"))
_LAST = _ROWS.order_by(_table.c.seq.desc()).limit(1)
_LAST_SEQ = select(func.coalesce(func.max(_table.c.seq), NO_EPOCH))
_EVERYBODY = Lookup(
    select(
        func.coalesce(func.max(_table.c.seq), NO_EPOCH).label("tokens"),
        func.coalesce(func.max(_table.c.seq).filter(_table.c.sessions), NO_EPOCH).label("sessions"),
    ).where(_table.c.target == ALL_USERS)
)
SESSIONS_EPOCH = (  # sessions that began in an earlier epoch have ended
    select(func.coalesce(func.max(_table.c.seq), NO_EPOCH))
    .where(_table.c.target == ALL_USERS, _table.c.sessions)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Epochs:
    """The latest revocations of all tokens and of all sessions: earlier epochs are invalid."""

    tokens: int
    sessions: int


def session_target(sid: str) -> str:
    """Return the target that revokes all tokens of a session."""
    return f"s:{sid}"


def generation_target(sid: str, gen: int) -> str:
    """Return the target that revokes one generation of a session; the others stay valid."""
    return f"s:{sid}:{gen}"


def user_target(user_id: str) -> str:
    """Return the target that revokes the tokens of a user that have an earlier epoch."""
    return f"u:{user_id}"


def load_global_epochs(tx: Session | Connection) -> Epochs:
    """Return the current epochs of all tokens and of all sessions; earlier ones are invalid.

    Load them *before* the claims of a token (the scopes, say): if those change in between, the
    change creates a later epoch, and the token is invalid.
    """
    [(tokens, sessions)] = fetch(tx, _EVERYBODY, {})
    return Epochs(tokens, sessions)


def load_last_seq(tx: Session | Connection) -> int:
    """Return the `seq` of the latest revocation: no epoch is later at this moment."""
    return int(tx.execute(_LAST_SEQ).scalar_one())


class RevocationFeed:
    """This process's copy of the revocations that can still affect a token; adds new ones."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        lag: timedelta,
        token_lifetime: timedelta,
        monotonic: Timer = time.monotonic,
    ) -> None:
        """Take the maximum age of the copy (`lag`) and the maximum lifetime of a token."""
        self._database, self._clock, self._monotonic = database, clock, monotonic
        self._max_lag = lag.total_seconds()
        self._lag = self._max_lag * MAX_AGE_OF_COPY
        self._kept_for = token_lifetime + timedelta(minutes=2)
        self._read_lock = threading.Lock()
        self._revoked: dict[str, int] = {}
        self._remembered_at: dict[str, float] = {}
        self._memory_lock = threading.Lock()
        self._last_row: AnyRow | None = None
        self._is_complete = False
        self._checked_at = self._read_at = float("-inf")
        self._read_error = ""  # why the last read failed

    @property
    def age(self) -> float:
        """Seconds since the copy was complete."""
        return self._monotonic() - self._read_at

    def revoke(self, tx: Session, *targets: str, sessions: bool = False) -> int:
        """Revoke `targets` in the transaction of the change that causes it.

        Return the last `seq` written: the new epoch. No other transaction writes to the feed until
        this one ends. The rows inform the other processes; this one remembers the targets when the
        transaction commits. In a transaction of the application this process learns of them as the
        others do, because SQLAlchemy tells of a commit before it is certain.
        """
        self._database.advisory_lock(tx, FEED_LOCK_ID)
        last_seq: int = tx.execute(_LAST_SEQ).scalar_one()
        now = self._clock()
        first_seq = max(last_seq + 1, int(now.timestamp() * 1000))
        seqs = dict(zip(targets, itertools.count(first_seq), strict=False))
        rows = [{"seq": seq, "target": target} for target, seq in seqs.items()]
        tx.execute(insert(_table), [row | {"sessions": sessions, "made_at": now} for row in rows])
        if not has_joined(tx):
            run_after_commit(tx, lambda: self._remember(seqs))
        return first_seq + len(rows) - 1

    def check(self, *, sid: str, gen: int, user_id: str, epoch: int) -> None:
        """Raise `TokenInvalid` if a token is revoked, `GateUnavailable` if the copy is too old."""
        self.ensure_fresh()
        revoked = self._revoked
        if revoked and (
            f"s:{sid}" in revoked
            or f"s:{sid}:{gen}" in revoked
            or epoch < revoked.get(f"u:{user_id}", NO_EPOCH)
            or epoch < revoked.get(ALL_USERS, NO_EPOCH)
        ):
            raise TokenInvalid

    def ensure_fresh(self) -> None:
        """Read newer rows if the copy is due. Raise `GateUnavailable` if the copy is too old."""
        now = self._monotonic()
        if now - self._checked_at >= self._lag or now - self._read_at > MAX_FEED_AGE_SECONDS:
            self._read()

    def _read(self) -> None:
        """Read newer rows in one thread; the others use the copy they have.

        If the copy is older than the lag, as after an idle time, they wait for a short time; if it
        is too old to be used, they wait for the read. They do not wait if the last read failed:
        threads must not queue for a database that is unavailable (R-04).
        """
        wait = FEED_WAIT_SECONDS if self.age < MAX_FEED_AGE_SECONDS else MAX_FEED_AGE_SECONDS
        has_to_wait = self.age >= self._max_lag and not self._read_error
        if self._read_lock.acquire(timeout=wait if has_to_wait else 0):
            try:
                self._read_alone()
            finally:
                self._read_lock.release()
        if self.age > MAX_FEED_AGE_SECONDS:
            raise GateUnavailable(
                cause=f"revocations: not read for too long; {self._read_error or 'others wait too'}"
            )

    def _read_alone(self) -> None:
        started_at = self._monotonic()
        if started_at - self._checked_at < self._lag:
            return
        try:
            self._read_newer()
        except DatabaseUnavailable as error:
            self._read_error, self._checked_at = error.cause, self._monotonic()
        else:
            self._read_error, self._checked_at, self._read_at = "", started_at, started_at

    def _read_newer(self) -> None:
        started_at = self._monotonic()
        with self._database.reading() as connection:
            rows, was_restored = self._newer_rows(connection)
        if was_restored:
            self._forget_epochs(started_at)
        self._remember({row.target: row.seq for row in rows})
        self._forget(self._monotonic() - self._kept_for.total_seconds())

    def _newer_rows(self, connection: Connection) -> tuple[Sequence[AnyRow], bool]:
        """Return the rows after the last known one; all rows if that one no longer exists.

        The second value is true in that case: the last row is never purged, so a backup was
        restored (R-28).
        """
        last_row = self._last_row
        if self._is_complete:
            rows = connection.execute(_NEWER, {"seq": last_row.seq if last_row else 0}).all()
            if last_row is None or (rows and rows[0] == last_row):
                self._last_row = rows[-1] if rows else None
                return rows[1:] if last_row else rows, False
        rows = self._all_relevant_rows(connection)
        self._last_row, self._is_complete = rows[-1] if rows else None, True
        return rows, last_row is not None

    def _all_relevant_rows(self, connection: Connection) -> Sequence[AnyRow]:
        """Return the rows of the last three token lifetimes, by `seq` and by time.

        `seq` increases with every commit, so a row after a recent one is recent. One lifetime would
        do; with two more, no row is missed if the clock of a host is that far behind.
        """
        last = connection.execute(_LAST).first()
        if last is None:
            return []
        since = {"since": self._clock() - self._kept_for}
        first_seq = connection.execute(_FIRST_SINCE, since).scalar_one()
        oldest_seq = last.seq if first_seq is None else first_seq
        margin = 2 * int(self._kept_for.total_seconds() * 1000)
        return connection.execute(_NEWER, {"seq": oldest_seq - margin}).all()

    def _forget_epochs(self, before: float) -> None:
        """Forget the epochs remembered earlier: new tokens get theirs from the restored database.

        Revocations of sessions stay.
        """
        with self._memory_lock:
            for target in [t for t in self._revoked if not t.startswith("s:")]:
                if self._remembered_at[target] < before:
                    del self._remembered_at[target], self._revoked[target]

    def _remember(self, revoked: Mapping[str, int]) -> None:
        """Remember revocations; of two with the same target the later one counts."""
        with self._memory_lock:
            for target, seq in revoked.items():
                self._revoked[target] = max(seq, self._revoked.get(target, NO_EPOCH))
                self._remembered_at.pop(target, None)
                self._remembered_at[target] = self._monotonic()

    def _forget(self, before: float) -> None:
        """Forget what no unexpired token can match; the oldest entry comes first."""
        with self._memory_lock:
            entries = self._remembered_at.items()
            expired = itertools.takewhile(lambda entry: entry[1] < before, entries)
            for target, _ in list(expired):
                del self._remembered_at[target], self._revoked[target]
