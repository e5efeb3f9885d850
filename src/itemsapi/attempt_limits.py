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

from sqlalchemy import String, bindparam, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.clock import Clock, new_id
from itemsapi.db import Database, Model, UtcDateTime
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
                waits = [self._wait_seconds(tx, limit, now) for limit in ordered]
                _require_attempt(ordered, waits)
                expires_at = now + RESERVATION_LIFETIME
                tx.execute(
                    _RESERVE,
                    [
                        {"key": limit.digest, "id": reservation_id, "expires_at": expires_at}
                        for limit in ordered
                    ],
                )
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
        tx.execute(_RELEASE, {"ids": [reservation.id]})

    def fail(self, tx: Session, reservation: Reservation) -> list[Limit]:
        """Count a failed attempt permanently; return the limits that it reached."""
        now = self._clock()
        failures = [
            tx.execute(
                _COUNT, {"key": limit.digest, "now": now, **_window_bounds(limit, now)}
            ).scalar_one()
            for limit in reservation.limits
        ]
        tx.execute(_RELEASE, {"ids": [reservation.id]})
        counted = zip(reservation.limits, failures, strict=True)
        return [limit for limit, count in counted if count == limit.max_failures]

    def _known_wait_seconds(self, limit: Limit, now: datetime) -> int:
        """Return the seconds to wait for a key that was exhausted a moment ago; 0 for any other."""
        started_at = self._exhausted.started_at(limit.exhausted_key, now)
        if started_at is None or not _is_current(limit, started_at, now):
            return 0
        return _seconds_until(started_at + limit.window, now)

    def _wait_seconds(self, tx: Session, limit: Limit, now: datetime) -> int:
        """Lock the key and return the seconds until it allows another attempt."""
        row = tx.execute(_LOCK, {"key": limit.digest, "now": now}).one()
        failures = row.failures if _is_current(limit, row.started_at, now) else 0
        if failures >= limit.max_failures:
            self._exhausted.remember(limit.exhausted_key, row.started_at, now)
            return _seconds_until(row.started_at + limit.window, now)
        # Ignore a reservation that expires later: it was made while a clock was wrong.
        times = {"now": now, "ahead": now + RESERVATION_LIFETIME + MAX_CLOCK_SKEW}
        pending = tx.execute(_PENDING, times | {"key": limit.digest}).one()
        is_allowed = failures + pending.pending < limit.max_failures
        return 0 if is_allowed else _seconds_until(pending.first, now)

    @contextmanager
    def _releasing_transaction(self) -> Iterator[Session]:
        """Open a transaction that also releases the attempts that could not be released before."""
        ids: list[str] = []
        with suppress(IndexError):  # another thread may take the last id
            while True:
                ids.append(self._unreleased.popleft())
        try:
            with self._database.transaction() as tx:
                if ids:
                    tx.execute(_RELEASE, {"ids": ids})
                yield tx
        except BaseException:
            self._unreleased.extend(ids)
            raise


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
