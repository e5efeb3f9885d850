"""Limits of attempts at a secret, counted in the database.

Limits apply across workers and restarts. An attempt is reserved *before* the secret is verified,
and counts while it is reserved: a hundred parallel attempts cannot exceed the limit (S-045). A
failed attempt is counted permanently; any other is released. A reservation that could not be
released, because the database was unavailable or the process was killed, expires (S-079).

An attempt under a key that was exhausted a moment ago is rejected without the database.
"""

import hashlib
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import BindParameter, Integer, String, bindparam, delete, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.clock import Clock, new_id
from itemsapi.db import AnyRow, Database, Lookup, Model, UtcDateTime, execute, fetch
from itemsapi.exhausted_keys import ExhaustedKeys
from itemsapi.problems import DatabaseUnavailable, TooManyRequests

RESERVATION_LIFETIME = timedelta(seconds=30)  # longer than any attempt takes
MAX_CLOCK_SKEW = RESERVATION_LIFETIME  # by how much the clock of another host may be ahead
MAX_UNRELEASED = 1000  # reservations that a process remembers to release


class AttemptCounter(Model):
    """The number of failed attempts of a key since its window started."""

    __tablename__ = "itemsapi_attempt"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(index=True)
    failures: Mapped[int]


class PendingAttempt(Model):
    """A reserved attempt: one row for each key it counts against."""

    __tablename__ = "itemsapi_pending_attempt"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(36), primary_key=True, index=True)
    expires_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `max_failures` in a `window` for a key.

    An attempt above a limit that is not `enforced` is reserved nevertheless; the caller decides.
    """

    key: tuple[str, ...]
    max_failures: int
    window: timedelta
    enforced: bool = True

    @property
    def digest(self) -> str:
        """The hash under which the key is stored, so that no name or address is stored in clear."""
        return hashlib.sha256("\0".join(self.key).encode()).hexdigest()

    @property
    def exhausted_key(self) -> str:
        """The key for the memory of exhausted keys: the same one may have several limits."""
        return f"{self.digest} {self.max_failures}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reserved attempt. `wait_seconds`: until no limit is exceeded, 0 if none is."""

    id: str
    limits: tuple[Limit, ...]
    wait_seconds: int


def _times(*names: str) -> list[BindParameter[datetime]]:
    return [bindparam(name, type_=UtcDateTime) for name in names]


@cache
def _lock_keys(count: int) -> Lookup:
    """Return the statement that locks `count` keys, in their order, and returns their windows."""
    rows = ", ".join(f"(:key_{at}, :now, 0)" for at in range(count))
    return Lookup(
        text(
            f"INSERT INTO itemsapi_attempt AS attempt (key, started_at, failures) VALUES {rows}"  # noqa: S608 - names only
            " ON CONFLICT (key) DO UPDATE SET failures = attempt.failures"
            " RETURNING key, started_at, failures"
        )
        .bindparams(*_times("now"))
        .columns(key=String, started_at=UtcDateTime, failures=Integer)
    )


@cache
def _count_pending(count: int) -> Lookup:
    """Return the statement that counts the reserved attempts of each of `count` keys."""
    keys: list[BindParameter[str]] = [bindparam(f"key_{at}") for at in range(count)]
    return Lookup(
        select(
            _pending.c.key,
            func.count().label("pending"),
            func.min(_pending.c.expires_at).label("first"),
        )
        .where(_pending.c.key.in_(keys))
        .where(
            _pending.c.expires_at > bindparam("now"), _pending.c.expires_at <= bindparam("ahead")
        )
        .group_by(_pending.c.key)
    )


@cache
def _reserve_keys(count: int) -> Lookup:
    """Return the statement that stores a reserved attempt of `count` keys."""
    rows = ", ".join(f"(:key_{at}, :id, :expires_at)" for at in range(count))
    insert = f"INSERT INTO itemsapi_pending_attempt (key, id, expires_at) VALUES {rows}"  # noqa: S608 - names only
    return Lookup(text(insert).bindparams(*_times("expires_at")))


_pending = PendingAttempt.core()
_RELEASE = Lookup(delete(_pending).where(_pending.c.id == bindparam("id")))
_COUNT = Lookup(
    text(
        "INSERT INTO itemsapi_attempt AS attempt (key, started_at, failures)"
        " VALUES (:key, :now, 1)"
        " ON CONFLICT (key) DO UPDATE SET"
        " failures = CASE WHEN attempt.failures > 0 AND attempt.started_at > :stale"
        " AND attempt.started_at <= :ahead THEN attempt.failures + 1 ELSE 1 END,"
        " started_at = CASE WHEN attempt.failures > 0 AND attempt.started_at > :stale"
        " AND attempt.started_at <= :ahead THEN attempt.started_at ELSE :now END"
        " RETURNING failures"
    )
    .bindparams(*_times("now", "stale", "ahead"))
    .columns(failures=Integer)
)


class AttemptLimiter:
    """Counts and limits attempts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Count in a database, by a clock."""
        self._database, self._clock = database, clock
        self._unreleased = deque[str](maxlen=MAX_UNRELEASED)  # ids to delete from the database
        self._exhausted = ExhaustedKeys()

    def reserve(self, limits: Iterable[Limit]) -> Reservation:
        """Reserve an attempt under all limits, or raise `TooManyRequests` and reserve none.

        May raise `DatabaseUnavailable`. The locked rows keep parallel attempts out until the
        reservation is stored.
        """
        now, reservation_id = self._clock(), new_id()
        ordered = tuple(sorted(limits, key=lambda limit: limit.digest))  # one order: no deadlock
        _require_attempt(ordered, [self._known_wait_seconds(limit, now) for limit in ordered])
        try:
            with self._releasing_transaction() as tx:
                waits = self._lock(tx, ordered, now)
                _require_attempt(ordered, waits)
                reserved = {"id": reservation_id, "expires_at": now + RESERVATION_LIFETIME}
                execute(tx, _reserve_keys(len(ordered)), _key_values(ordered) | reserved)
        except DatabaseUnavailable:
            self._unreleased.append(reservation_id)  # it may have been committed nevertheless
            raise
        return Reservation(reservation_id, ordered, max(waits))

    def release(self, reservation: Reservation) -> None:
        """Release an attempt; if the database is unavailable, with a later transaction."""
        self._unreleased.append(reservation.id)
        with suppress(DatabaseUnavailable), self._releasing_transaction():
            pass

    def succeed(self, tx: Session, reservation: Reservation) -> None:
        """Release an attempt whose secret was correct."""
        execute(tx, _RELEASE, {"id": reservation.id})

    def fail(self, tx: Session, reservation: Reservation) -> list[Limit]:
        """Count a failed attempt permanently; return the limits that it reached."""
        now = self._clock()
        failures = [_count_failure(tx, limit, now) for limit in reservation.limits]
        execute(tx, _RELEASE, {"id": reservation.id})
        counted = zip(reservation.limits, failures, strict=True)
        return [limit for limit, count in counted if count == limit.max_failures]

    def _known_wait_seconds(self, limit: Limit, now: datetime) -> int:
        """Return the seconds to wait for a key that was exhausted a moment ago; 0 for any other."""
        started_at = self._exhausted.started_at(limit.exhausted_key, now)
        if started_at is None or not _is_current(limit, started_at, now):
            return 0
        return _seconds_until(started_at + limit.window, now)

    def _lock(self, tx: Session, limits: Sequence[Limit], now: datetime) -> list[int]:
        """Lock the keys and return the seconds until each of them allows another attempt."""
        keys = _key_values(limits)
        counters = fetch(tx, _lock_keys(len(limits)), keys | {"now": now})
        # Ignore a reservation that expires later: it was made while a clock was wrong.
        times = {"now": now, "ahead": now + RESERVATION_LIFETIME + MAX_CLOCK_SKEW}
        pending = fetch(tx, _count_pending(len(limits)), keys | times)  # a new view, with the lock
        counter_of, pending_of = ({row.key: row for row in rows} for rows in (counters, pending))
        return [
            self._wait_seconds(limit, counter_of[limit.digest], pending_of.get(limit.digest), now)
            for limit in limits
        ]

    def _wait_seconds(
        self, limit: Limit, counter: AnyRow, pending: AnyRow | None, now: datetime
    ) -> int:
        """Return the seconds until a key allows another attempt; None is pending without a row."""
        failures = counter.failures if _is_current(limit, counter.started_at, now) else 0
        if failures >= limit.max_failures:
            self._exhausted.remember(limit.exhausted_key, counter.started_at, now)
            return _seconds_until(counter.started_at + limit.window, now)
        if pending is None or failures + pending.pending < limit.max_failures:
            return 0
        return _seconds_until(pending.first, now)

    @contextmanager
    def _releasing_transaction(self) -> Iterator[Session]:
        """Open a transaction that also releases the attempts that could not be released before."""
        ids: list[str] = []
        with suppress(IndexError):  # another thread may take the last id
            while True:
                ids.append(self._unreleased.popleft())
        try:
            with self._database.transaction() as tx:
                for each in ids:
                    execute(tx, _RELEASE, {"id": each})
                yield tx
        except BaseException:
            self._unreleased.extend(ids)
            raise


def _count_failure(tx: Session, limit: Limit, now: datetime) -> int:
    """Count a failed attempt; return the number of those in the current window."""
    values = {"key": limit.digest, "now": now, **_window_bounds(limit, now)}
    return int(fetch(tx, _COUNT, values)[0].failures)


def _key_values(limits: Sequence[Limit]) -> dict[str, object]:
    """Return the parameters `key_0`, `key_1` and so on."""
    return {f"key_{at}": limit.digest for at, limit in enumerate(limits)}


def _require_attempt(limits: Sequence[Limit], waits: Sequence[int]) -> None:
    """Raise `TooManyRequests` if an enforced limit has to wait; all of them tell how long."""
    if any(wait and limit.enforced for wait, limit in zip(waits, limits, strict=True)):
        raise TooManyRequests(max(waits))


def _seconds_until(time: datetime, now: datetime) -> int:
    return math.ceil((time - now).total_seconds())


def _is_current(limit: Limit, started_at: datetime, now: datetime) -> bool:
    """Return whether failures of a window that started then count now."""
    bounds = _window_bounds(limit, now)
    return bounds["stale"] < started_at <= bounds["ahead"]


def _window_bounds(limit: Limit, now: datetime) -> dict[str, datetime]:
    """Return the times between which a current window started.

    A window that starts far ahead was stored while a clock was wrong; it must not lock users out.
    """
    return {"stale": now - limit.window, "ahead": now + limit.window}
