"""The look-up of API keys for the gate: whose key it is, and which scopes it has now.

A process remembers a key for less than the revocation lag, so that it is refused everywhere within
this time after its revocation or a change of its user, by no clock but that of the process. While
the database is away, keys are refused.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import bindparam, or_, select, update

from itemsapi.clock import Timer
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.user_changes import end_missing_user_in, is_missing
from itemsapi.observability.logging import log
from itemsapi.problems import ApiKeyInvalid, PasswordChangeRequired
from itemsapi.tokens.api_keys import ApiKey, hash_api_key, is_well_formed
from itemsapi.tokens.revocation import MAX_AGE_OF_COPY
from itemsapi.tokens.scopes import parse_scopes
from itemsapi.tokens.sessions import last_used_step

MAX_REMEMBERED_KEYS = 8192  # per process: some 1 KB each

_table = ApiKey.core()
_BY_HASH = select(_table).where(_table.c.hash == bindparam("hash"))
_NOTE_USE = (
    update(_table)
    .where(_table.c.id == bindparam("key_id"))
    .where(or_(_table.c.last_used_at.is_(None), _table.c.last_used_at < bindparam("step")))
    .values(last_used_at=bindparam("step"))
)


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """The user of a key and the scopes that both have; `record_use` once in five minutes."""

    user_id: str
    scopes: frozenset[str]
    record_use: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class _Remembered:
    owner: KeyOwner
    expires_at: datetime
    read_at: float


class ApiKeyLookup:
    """Finds the owners of keys, and remembers them for a moment."""

    def __init__(self, issuer: Issuer, monotonic: Timer = time.monotonic) -> None:
        """Take the issuer, and the timer by which the copies of keys age."""
        self._issuer, self._monotonic = issuer, monotonic
        self._max_age = issuer.settings.revocation_lag.total_seconds() * MAX_AGE_OF_COPY
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def find_owner(self, key: str) -> KeyOwner:
        """Return the owner of a key that a request carries.

        Raise `ApiKeyInvalid`, or `DatabaseUnavailable`: a key that cannot be checked is refused.
        """
        if not is_well_formed(key):
            raise ApiKeyInvalid
        hashed, now = hash_api_key(key), self._issuer.clock()
        known = self._recall(hashed)
        return known.owner if known is not None and known.expires_at > now else self._load(hashed)

    def forget(self, hashed: str) -> None:
        """Forget a key by its hash, so that its next use is looked up."""
        with self._lock:
            self._remembered.pop(hashed, None)

    def _load(self, hashed: str) -> KeyOwner:
        """Read a key and its user, and remember them for a moment."""
        read_at, now = self._monotonic(), self._issuer.clock()
        with self._issuer.database.reading() as connection:
            row = connection.execute(_BY_HASH, {"hash": hashed}).first()
        if row is None or row.revoked_at is not None or row.expires_at <= now:
            raise ApiKeyInvalid
        owner = KeyOwner(row.user_id, self._scopes_now(row.user_id) & parse_scopes(row.scopes))
        self._remember(hashed, _Remembered(owner, row.expires_at, read_at))
        step = last_used_step(now)
        if row.last_used_at is not None and row.last_used_at >= step:
            return owner
        return replace(owner, record_use=lambda: self._record_use(row.id, step))

    def _scopes_now(self, user_id: str) -> frozenset[str]:
        """Return the scopes of a user. Raise `ApiKeyInvalid` unless the user may sign in.

        The keys of a missing user are revoked: the next user may get the same id (S-122). Raise
        `PasswordChangeRequired` for a user with a temporary password (S-119).
        """
        user, scopes = self._issuer.users.find_with_scopes(user_id)
        if user is None and is_missing(self._issuer, user_id):
            with self._issuer.database.transaction() as tx:
                end_missing_user_in(self._issuer, tx, user_id)
        if user is None or not user.enabled:
            raise ApiKeyInvalid
        if user.must_change_password:
            raise PasswordChangeRequired
        return scopes

    def _record_use(self, key_id: str, step: datetime) -> None:
        """Record that a key is in use. A failure fails no request: the next use tries again."""
        try:
            with self._issuer.database.transaction() as tx:
                tx.execute(_NOTE_USE, {"key_id": key_id, "step": step})
        except Exception as error:  # noqa: BLE001 - the response is sent: nobody can get an error
            log.warning("api_key_use_not_noted", key_id=key_id, error=type(error).__name__)

    def _recall(self, hashed: str) -> _Remembered | None:
        """Return what is remembered of a key, unless it is too old."""
        with self._lock:
            known = self._remembered.get(hashed)
            is_old = known is not None and self._monotonic() - known.read_at >= self._max_age
            return None if is_old else known

    def _remember(self, hashed: str, entry: _Remembered) -> None:
        with self._lock:
            self._remembered[hashed] = entry
            while len(self._remembered) > MAX_REMEMBERED_KEYS:
                self._remembered.popitem(last=False)
