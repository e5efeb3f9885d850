"""The revocation feed: what was taken back, known to every process within a second.

Rows are `(seq, target)`. A process keeps those that can still matter in memory and asks for newer
ones at most once per lag, inside a request that finds its copy older than that: no thread, nothing
to lose at a fork. A request costs four dictionary look-ups and no query.

Neither commit order nor clocks hide a row: writers take turns, so that `seq` is the order of
commits. The `seq` of what was taken back from a user, or from everybody, is their *epoch*: it is
minted into every later token, and a token of an earlier epoch is void (docs/adr/0004).
"""

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, String, bindparam, event, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.clock import Clock
from itemsapi.db import AnyRow, Database, Model
from itemsapi.problems import DatabaseUnavailable, GateUnavailable, TokenInvalid

MAX_FEED_AGE_SECONDS = (
    5.0  # seconds without an answer from the feed before nobody is let in any more
)
MOMENT = 0.25  # seconds to wait for an answer that is under way; a healthy database takes a few ms
FEED_LOCK = 7_202  # the advisory lock of writers
EVERYBODY = "*"
NO_EPOCH = 0  # nothing was taken back yet


class Revocation(Model):
    """One thing taken back. `sessions`: not only tokens of earlier epochs, sessions as well.

    `seq` is close to the milliseconds since 1970, and always later than the one before: a database
    that was restored gives out none a second time.
    """

    __tablename__ = "itemsapi_revocation"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    target: Mapped[str] = mapped_column(String(64), index=True)
    sessions: Mapped[bool] = mapped_column(default=False)
    made_at: Mapped[datetime] = mapped_column(index=True)


_table = Revocation.core()
_ROWS = select(_table.c.seq, _table.c.target, _table.c.made_at)
_NEWER = _ROWS.where(_table.c.seq >= bindparam("seq")).order_by(_table.c.seq)
_FIRST_SINCE = select(func.min(_table.c.seq)).where(_table.c.made_at > bindparam("since"))
_LAST = _ROWS.order_by(_table.c.seq.desc()).limit(1)
_LAST_SEQ = select(func.coalesce(func.max(_table.c.seq), NO_EPOCH))
_EVERYBODY = select(
    func.coalesce(func.max(_table.c.seq), NO_EPOCH),
    func.coalesce(func.max(_table.c.seq).filter(_table.c.sessions), NO_EPOCH),
).where(_table.c.target == EVERYBODY)
SESSIONS_EPOCH = (  # sessions of everybody that began in an earlier epoch are over
    select(func.coalesce(func.max(_table.c.seq), NO_EPOCH))
    .where(_table.c.target == EVERYBODY, _table.c.sessions)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Epochs:
    """The epochs of everybody's tokens and of everybody's sessions: earlier ones are void."""

    tokens: int
    sessions: int


def session_target(sid: str) -> str:
    """Name a session as a target: none of its tokens is good any more."""
    return f"s:{sid}"


def generation_target(sid: str, gen: int) -> str:
    """Name one generation of a session as a target: the others go on."""
    return f"s:{sid}:{gen}"


def user_target(user_id: str) -> str:
    """Name a user as a target: tokens of an earlier epoch are void."""
    return f"u:{user_id}"


def everybodys_epochs(tx: Session | Connection) -> Epochs:
    """Return the epochs that tokens and sessions of everybody must have reached.

    Ask *before* what the token says is looked up: who changes that in between makes a later epoch,
    and the token is void.
    """
    tokens, sessions = tx.execute(_EVERYBODY).one()
    return Epochs(tokens, sessions)


class RevocationFeed:
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
        self._revoked: dict[str, int] = {}
        self._noted: dict[str, float] = {}
        self._writing = threading.Lock()
        self._last: AnyRow | None = None
        self._whole = False
        self._asked = self._known = float("-inf")
        self._failing = ""  # why the last question had no answer

    @property
    def age(self) -> float:
        """Seconds since the copy was known to be whole."""
        return time.monotonic() - self._known

    def revoke(self, tx: Session, *targets: str, sessions: bool = False) -> int:
        """Take something back in the transaction of the change that causes it.

        Return the last `seq` written: the epoch of what was taken back. Nobody else writes to the
        feed until the transaction ends. The rows are for the other processes; this one knows as
        soon as the transaction commits.
        """
        self._database.advisory_lock(tx, FEED_LOCK)
        last: int = tx.execute(_LAST_SEQ).scalar_one()
        now = self._clock()
        first = max(last + 1, int(now.timestamp() * 1000))
        numbered = dict(zip(targets, itertools.count(first), strict=False))
        rows = [{"seq": seq, "target": target} for target, seq in numbered.items()]
        tx.execute(insert(_table), [row | {"sessions": sessions, "made_at": now} for row in rows])
        event.listen(tx, "after_commit", lambda _: self._note_all(numbered), once=True)
        return first + len(rows) - 1

    def check(self, *, sid: str, gen: int, user_id: str, epoch: int) -> None:
        """Let a token pass, or raise `TokenInvalid`; `GateUnavailable` if nobody can tell."""
        self.ensure_fresh()
        revoked = self._revoked
        if (
            f"s:{sid}" in revoked
            or f"s:{sid}:{gen}" in revoked
            or epoch < revoked.get(f"u:{user_id}", NO_EPOCH)
            or epoch < revoked.get(EVERYBODY, NO_EPOCH)
        ):
            raise TokenInvalid

    def ensure_fresh(self) -> None:
        """Ask the database for newer rows if it is time to. Raises `GateUnavailable`."""
        moment = time.monotonic()
        if moment - self._asked >= self._lag or moment - self._known > MAX_FEED_AGE_SECONDS:
            self._ask()

    def _ask(self) -> None:
        """Ask for newer rows; one thread does, the others go on with what is known so far.

        Where that is older than the lag, as after an idle time, they wait a moment, and where it
        is too old until there is an answer; unless the last question had none: no queue of threads
        stands before a dead database (R-04).
        """
        wait = MOMENT if self.age < MAX_FEED_AGE_SECONDS else MAX_FEED_AGE_SECONDS
        if self._asking.acquire(timeout=0 if self._failing or self.age < self._bound else wait):
            try:
                self._ask_alone()
            finally:
                self._asking.release()
        if self.age > MAX_FEED_AGE_SECONDS:
            raise GateUnavailable(
                cause=f"revocations: not read for too long; {self._failing or 'others wait too'}"
            )

    def _ask_alone(self) -> None:
        begun = time.monotonic()
        if begun - self._asked < self._lag:
            return
        try:
            self._catch_up()
        except DatabaseUnavailable as error:
            self._failing, self._asked = error.cause, time.monotonic()
        else:
            self._failing, self._asked, self._known = "", begun, begun

    def _catch_up(self) -> None:
        begun = time.monotonic()
        with self._database.reading() as connection:
            rows, restored = self._news(connection)
        if restored:
            self._forget_epochs(begun)
        self._note_all({row.target: row.seq for row in rows})
        self._forget(time.monotonic() - self._life.total_seconds())

    def _news(self, connection: Connection) -> tuple[Sequence[AnyRow], bool]:
        """Read what came after the last row known; all of it if that very row is there no more.

        The second value tells that: the last row is never purged, so a backup was restored (R-28).
        """
        known = self._last
        if self._whole:
            rows = connection.execute(_NEWER, {"seq": known.seq if known else 0}).all()
            if known is None or (rows and rows[0] == known):
                self._last = rows[-1] if rows else None
                return rows[1:] if known else rows, False
        rows = self._all_that_matter(connection)
        self._last, self._whole = rows[-1] if rows else None, True
        return rows, known is not None

    def _all_that_matter(self, connection: Connection) -> Sequence[AnyRow]:
        """Read the rows of one token lifetime, by their numbers as well as by the clocks.

        Numbers rise with the commits, so a row that follows on a recent one is recent. Two more
        lifetimes are read: so far the clock of a host may be behind and hides no row.
        """
        last = connection.execute(_LAST).first()
        if last is None:
            return []
        since = {"since": self._clock() - self._life}
        first = connection.execute(_FIRST_SINCE, since).scalar_one()
        oldest = last.seq if first is None else first
        margin = 2 * int(self._life.total_seconds() * 1000)
        return connection.execute(_NEWER, {"seq": oldest - margin}).all()

    def _forget_epochs(self, before: float) -> None:
        """Drop the epochs noted earlier: new tokens get theirs from the restored database.

        Sessions that ended stay ended.
        """
        with self._writing:
            for target in [t for t in self._revoked if not t.startswith("s:")]:
                if self._noted[target] < before:
                    del self._noted[target], self._revoked[target]

    def _note_all(self, revoked: Mapping[str, int]) -> None:
        """Remember revocations; the later of two of the same target counts."""
        with self._writing:
            for target, seq in revoked.items():
                self._revoked[target] = max(seq, self._revoked.get(target, NO_EPOCH))
                self._noted.pop(target, None)
                self._noted[target] = time.monotonic()

    def _forget(self, before: float) -> None:
        """Drop what no living token can meet any more; the oldest note comes first."""
        with self._writing:
            old = itertools.takewhile(lambda entry: entry[1] < before, self._noted.items())
            for target, _ in list(old):
                del self._noted[target], self._revoked[target]
