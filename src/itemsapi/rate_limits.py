"""How often something may be tried.

Tries at a secret are counted in the database, so that limits hold over workers and restarts. A try
is *held before* the secret is looked at, and counts while it is held: a hundred parallel guesses
cannot get past the limit (S-045). A wrong one is counted for good; every other is let go, and one
that nobody could let go, because the database was away or a process was killed, ends by itself
(S-079).
"""

import hashlib
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import limits
from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter, RateLimiter
from sqlalchemy import String, bindparam, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.clock import Clock, new_id, now
from itemsapi.db import Database, Model, UtcDateTime
from itemsapi.observability.logging import log, request_context
from itemsapi.problems import DatabaseUnavailable, TooMany
from itemsapi.settings import SettingsError
from itemsapi.web_addresses import client_key

MEMORY_URL = "memory://"
REDIS_TIMEOUTS = {
    "socket_timeout": 0.2,
    "socket_connect_timeout": 0.2,
}  # seconds that Redis may take
REDIS_RETRY_SECONDS = 5.0  # seconds that a Redis which did not answer is not asked again


class AttemptCounter(Model):
    """How many wrong tries a key has had since its window began."""

    __tablename__ = "itemsapi_attempt"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(index=True)
    failures: Mapped[int]


class PendingAttempt(Model):
    """A try under way, at each key that it counts against."""

    __tablename__ = "itemsapi_pending_attempt"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(36), primary_key=True, index=True)
    expires_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `tries` in a `window` for whatever `key` names.

    A try above one that is not `firm` is held nevertheless; whoever asked is told and decides.
    """

    key: tuple[str, ...]
    tries: int
    window: timedelta
    firm: bool = True

    @property
    def digest(self) -> str:
        """The key as it is stored: names and addresses are not kept in clear."""
        return hashlib.sha256("\0".join(self.key).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reservation:
    """A try under way. `wait`: seconds until a limit that is not firm has room, 0 if it has."""

    id: str
    limits: tuple[Limit, ...]
    wait: int


RESERVATION_LIFETIME = timedelta(
    seconds=30
)  # longer than a try can take; what a killed process may cost
MAX_CLOCK_SKEW = RESERVATION_LIFETIME  # by how much the clock of another host may be ahead
MAX_UNRELEASED = 1000  # holds that a process keeps in mind to let go

_LOCK = (
    text(
        "INSERT INTO itemsapi_attempt AS attempt (key, started_at, failures) VALUES (:key, :now, 0)"
        " ON CONFLICT (key) DO UPDATE SET failures = attempt.failures"
        " RETURNING started_at, failures"
    )
    .bindparams(bindparam("now", type_=UtcDateTime))
    .columns(started_at=UtcDateTime)
)
_PENDING = (
    text(
        "SELECT count(*) AS pending, min(expires_at) AS first FROM itemsapi_pending_attempt"
        " WHERE key = :key AND expires_at > :now AND expires_at <= :ahead"
    )
    .bindparams(*(bindparam(name, type_=UtcDateTime) for name in ("now", "ahead")))
    .columns(first=UtcDateTime)
)
_RESERVE = text(
    "INSERT INTO itemsapi_pending_attempt (key, id, expires_at) VALUES (:key, :id, :expires_at)"
).bindparams(bindparam("expires_at", type_=UtcDateTime))
_RELEASE = text("DELETE FROM itemsapi_pending_attempt WHERE id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)
_COUNT = text(
    "INSERT INTO itemsapi_attempt AS attempt (key, started_at, failures) VALUES (:key, :now, 1)"
    " ON CONFLICT (key) DO UPDATE SET"
    " failures = CASE WHEN attempt.failures > 0 AND attempt.started_at > :stale"
    " AND attempt.started_at <= :ahead THEN attempt.failures + 1 ELSE 1 END,"
    " started_at = CASE WHEN attempt.failures > 0 AND attempt.started_at > :stale"
    " AND attempt.started_at <= :ahead THEN attempt.started_at ELSE :now END"
    " RETURNING failures"
).bindparams(*(bindparam(name, type_=UtcDateTime) for name in ("now", "stale", "ahead")))


class AttemptLimiter:
    """The counter of tries."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Count in a database, by a clock."""
        self._database, self._clock = database, clock
        self._owed = deque[str](
            maxlen=MAX_UNRELEASED
        )  # ids of holds whose end the database may not know

    def reserve(self, limits: Iterable[Limit]) -> Reservation:
        """Hold a try under every limit. Raises `TooMany`, holding none, and `DatabaseUnavailable`.

        Nobody gets past the lock on the rows until the hold is there to be counted.
        """
        moment, name = self._clock(), new_id()
        ordered = tuple(sorted(limits, key=lambda one: one.digest))  # one order: no deadlock
        try:
            with self._paying() as tx:
                waits = [self._wait(tx, limit, moment) for limit in ordered]
                if any(wait and limit.firm for wait, limit in zip(waits, ordered, strict=True)):
                    raise TooMany(max(waits))
                expires_at = moment + RESERVATION_LIFETIME
                tx.execute(
                    _RESERVE,
                    [{"key": o.digest, "id": name, "expires_at": expires_at} for o in ordered],
                )
        except DatabaseUnavailable:
            self._owed.append(name)  # its commit may have been lost on the way back
            raise
        return Reservation(name, ordered, max(waits))

    def release(self, hold: Reservation) -> None:
        """End a hold that came to nothing; if the database is away, when it is back."""
        self._owed.append(hold.id)
        with suppress(DatabaseUnavailable), self._paying():
            pass

    def succeed(self, tx: Session, hold: Reservation) -> None:
        """End a hold without counting it: the secret was right."""
        tx.execute(_RELEASE, {"ids": [hold.id]})

    def fail(self, tx: Session, hold: Reservation) -> list[Limit]:
        """Count a held try for good; return the limits that it used up."""
        moment = self._clock()
        tries = [
            tx.execute(
                _COUNT, {"key": one.digest, "now": moment, **_bounds(one, moment)}
            ).scalar_one()
            for one in hold.limits
        ]
        tx.execute(_RELEASE, {"ids": [hold.id]})
        return [limit for limit, had in zip(hold.limits, tries, strict=True) if had == limit.tries]

    def _wait(self, tx: Session, limit: Limit, moment: datetime) -> int:
        """Return how many seconds a try has to wait, having locked the key."""
        row = tx.execute(_LOCK, {"key": limit.digest, "now": moment}).one()
        bounds = _bounds(limit, moment)
        again: datetime = row.started_at + limit.window
        tries = row.failures if bounds["stale"] < row.started_at <= bounds["ahead"] else 0
        if tries < limit.tries:
            # One that ends later was held while a clock was wrong, and must lock nobody out.
            when = {"now": moment, "ahead": moment + RESERVATION_LIFETIME + MAX_CLOCK_SKEW}
            pending = tx.execute(_PENDING, when | {"key": limit.digest}).one()
            if tries + pending.pending < limit.tries:
                return 0
            again = pending.first
        return math.ceil((again - moment).total_seconds())

    @contextmanager
    def _paying(self) -> Iterator[Session]:
        """Yield a transaction in which the holds end that nobody could end before."""
        owed: list[str] = []
        with suppress(IndexError):  # another thread may take the last one
            while True:
                owed.append(self._owed.popleft())
        try:
            with self._database.transaction() as tx:
                if owed:
                    tx.execute(_RELEASE, {"ids": owed})
                yield tx
        except BaseException:
            self._owed.extend(owed)
            raise


def _bounds(limit: Limit, moment: datetime) -> dict[str, datetime]:
    """Return between which moments a window that counts has begun.

    One that begins far ahead was written while a clock was wrong; it must lock nobody out.
    """
    return {"stale": moment - limit.window, "ahead": moment + limit.window}


class RequestRateLimiter:
    """How many requests a caller may make in a time; counted in memory or in Redis.

    If Redis is away the counting goes on in this process: limits are never off (R-08).
    """

    def __init__(self, rate: str | None, url: str) -> None:
        """Take a rate in the words of the `limits` library, or None for no limit."""
        self._rate = limits.parse(rate) if rate else None
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._shared = self._local if url == MEMORY_URL else _limiter(url)
        self._away_until = float("-inf")

    def hit(self, user_id: str | None) -> None:
        """Count one request of a user, or of the client's address; raise `TooMany`."""
        if self._rate is None:
            return
        key = f"u:{user_id}" if user_id else f"a:{client_key(request_context().address)}"
        if time.monotonic() < self._away_until:
            _count(self._local, self._rate, key)
            return
        try:
            _count(self._shared, self._rate, key)
        except StorageError:
            self._away_until = time.monotonic() + REDIS_RETRY_SECONDS
            log.warning("rate_limit_storage_away")
            _count(self._local, self._rate, key)


def _count(limiter: RateLimiter, rate: RateLimitItem, key: str) -> None:
    if not limiter.hit(rate, key):
        reset = limiter.get_window_stats(rate, key).reset_time
        wait = math.ceil(reset - now().timestamp())
        raise TooMany(wait, policy=(rate.amount, rate.get_expiry()))


def _limiter(url: str) -> RateLimiter:
    """Return a limiter on shared storage; a wrong address stops the boot."""
    options = REDIS_TIMEOUTS if url.startswith("redis") else {}
    try:
        storage = storage_from_string(url, wrap_exceptions=True, **options)
    except Exception as error:
        raise SettingsError(f"ITEMSAPI_RATE_LIMIT_URL cannot be used: {error}") from error
    return FixedWindowRateLimiter(cast("Storage", storage))
