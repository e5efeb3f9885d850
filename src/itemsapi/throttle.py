"""How often something may be tried.

Tries at a secret are counted in the database, so that limits hold over workers and restarts. A try
is *taken before* the secret is checked and handed back after a right answer: a hundred parallel
guesses cannot get past the counter (S-045).
"""

import hashlib
import math
import time
from collections.abc import Iterable
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

from itemsapi.clock import Clock, now
from itemsapi.db import Database, Model, Moment
from itemsapi.observe import log, origin
from itemsapi.problems import TooMany
from itemsapi.settings import SettingsError
from itemsapi.web_addresses import client_key

MEMORY = "memory://"
PATIENCE = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}  # seconds that Redis may take
REST = 5.0  # seconds that a Redis which did not answer is not asked again


class Attempt(Model):
    """How many tries a key has had since its window began."""

    __tablename__ = "attempt"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    began_at: Mapped[datetime] = mapped_column(index=True)
    tries: Mapped[int]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `tries` in a `window` for whatever `key` names."""

    key: tuple[str, ...]
    tries: int
    window: timedelta

    @property
    def digest(self) -> str:
        """The key as it is stored: names and addresses are not kept in clear."""
        return hashlib.sha256("\0".join(self.key).encode()).hexdigest()


_TAKE = text(
    "INSERT INTO attempt (key, began_at, tries) VALUES (:key, :now, 1)"
    " ON CONFLICT (key) DO UPDATE SET"
    " tries = CASE WHEN attempt.began_at <= :stale THEN 1 ELSE attempt.tries + 1 END,"
    " began_at = CASE WHEN attempt.began_at <= :stale THEN :now ELSE attempt.began_at END"
    " WHERE attempt.began_at <= :stale OR attempt.tries < :limit"
    " RETURNING tries"
).bindparams(bindparam("now", type_=Moment), bindparam("stale", type_=Moment))
_BEGAN = text("SELECT began_at FROM attempt WHERE key = :key").columns(began_at=Moment)
_GIVE_BACK = text("UPDATE attempt SET tries = tries - 1 WHERE key = :key AND tries > 0")
_FORGET = text("DELETE FROM attempt WHERE key = :key")


@dataclass(frozen=True, slots=True)
class Throttle:
    """The counter of tries."""

    database: Database
    clock: Clock

    def take(self, taken: Iterable[Limit]) -> list[Limit]:
        """Count one try against every limit; return those that have no more left now.

        Raises `TooMany`, having counted none.
        """
        moment = self.clock()
        ordered = sorted(taken, key=lambda one: one.digest)  # one order: no deadlock
        with self.database.transaction() as tx:
            return [limit for limit in ordered if self._take(tx, limit, moment) == limit.tries]

    def _take(self, tx: Session, limit: Limit, moment: datetime) -> int:
        values = {
            "key": limit.digest,
            "now": moment,
            "stale": moment - limit.window,
            "limit": limit.tries,
        }
        tries = tx.execute(_TAKE, values).scalar_one_or_none()
        if tries is None:
            began = tx.execute(_BEGAN, {"key": limit.digest}).scalar_one()
            raise TooMany(math.ceil((began + limit.window - moment).total_seconds()))
        return int(tries)

    def succeed(self, tx: Session, *, forget: Iterable[Limit], give_back: Iterable[Limit]) -> None:
        """Undo the counting after a right answer: `forget` starts anew, `give_back` loses one."""
        steps = [(one.digest, _FORGET) for one in forget]
        steps += [(one.digest, _GIVE_BACK) for one in give_back]
        for key, statement in sorted(steps, key=lambda step: step[0]):
            tx.execute(statement, {"key": key})


class Pace:
    """How many requests a caller may make in a time; counted in memory or in Redis.

    If Redis is away the counting goes on in this process: limits are never off (R-08).
    """

    def __init__(self, rate: str | None, url: str) -> None:
        """Take a rate in the words of the `limits` library, or None for no limit."""
        self._rate = limits.parse(rate) if rate else None
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._shared = self._local if url == MEMORY else _limiter(url)
        self._away_until = float("-inf")

    def hit(self, user_id: str | None) -> None:
        """Count one request of a user, or of the client's address; raise `TooMany`."""
        if self._rate is None:
            return
        key = f"u:{user_id}" if user_id else f"a:{client_key(origin().address)}"
        if time.monotonic() < self._away_until:
            _count(self._local, self._rate, key)
            return
        try:
            _count(self._shared, self._rate, key)
        except StorageError:
            self._away_until = time.monotonic() + REST
            log.warning("rate_limit_storage_away")
            _count(self._local, self._rate, key)


def _count(limiter: RateLimiter, rate: RateLimitItem, key: str) -> None:
    if not limiter.hit(rate, key):
        reset = limiter.get_window_stats(rate, key).reset_time
        wait = math.ceil(reset - now().timestamp())
        raise TooMany(wait, policy=(rate.amount, rate.get_expiry()))


def _limiter(url: str) -> RateLimiter:
    """Return a limiter on shared storage; a wrong address stops the boot."""
    options = PATIENCE if url.startswith("redis") else {}
    try:
        storage = storage_from_string(url, wrap_exceptions=True, **options)
    except Exception as error:
        raise SettingsError(f"ITEMSAPI_RATE_LIMIT_URL cannot be used: {error}") from error
    return FixedWindowRateLimiter(cast("Storage", storage))
