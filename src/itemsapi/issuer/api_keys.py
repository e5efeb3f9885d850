"""API keys: users make keys for their programs, list and revoke them; the gate looks them up.

A key has the scopes that it was made with, as long as its user has them: a user who was disabled or
lost a role loses them in all keys at once. A key is for programs, it never stands in for a sign-in:
no key makes another key (S-163).

A process remembers a key for less than the revocation lag, so that it is refused everywhere within
this time after its revocation or a change of its user, without any clock but that of the process.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, and_, bindparam, event, func, or_, select, update
from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.clock import Timer, new_id
from itemsapi.db import AnyRow
from itemsapi.issuer.issuer import Issuer, restrict_scopes
from itemsapi.observability.logging import log
from itemsapi.problems import ApiKeyInvalid, NotFound, QuotaExceeded, ValidationFailed
from itemsapi.tokens.api_keys import (
    SHOWN_LENGTH,
    ApiKey,
    hash_api_key,
    is_well_formed,
    make_api_key,
)
from itemsapi.tokens.scopes import format_scopes, parse_scopes
from itemsapi.tokens.sessions import last_used_step

API_KEY_LOCK = 7_204  # the id of the advisory lock around the check of the quota
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
class KeyRecord:
    """An API key as its user sees it."""

    id: str
    name: str
    scopes: tuple[str, ...]
    shown: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """The user of a key and the scopes that both have; `record_use` once in five minutes."""

    user_id: str
    scopes: frozenset[str]
    record_use: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class _Remembered:
    key_id: str
    owner: KeyOwner
    expires_at: datetime
    read_at: float


class ApiKeyService:
    """Make, list, revoke and look up API keys."""

    def __init__(self, issuer: Issuer, *, monotonic: Timer = time.monotonic) -> None:
        """Take the issuer, and the timer by which the copies of keys age."""
        self._issuer, self._monotonic = issuer, monotonic
        self._max_age = issuer.settings.revocation_lag.total_seconds() * 0.7  # time for the query
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def create(
        self, user_id: str, *, name: str, scopes: Iterable[str], allowed: frozenset[str], days: int
    ) -> tuple[KeyRecord, str]:
        """Make a key of a user that expires after `days`; return its record and the key itself.

        `allowed` are the scopes of the request's access token. Raise `ValidationFailed` for any
        other scope, and `QuotaExceeded` if the user has too many keys.
        """
        names = frozenset(scopes)
        if not names <= allowed:
            raise ValidationFailed.at("scopes", "A key can only have scopes that you have now.")
        key, now = make_api_key(), self._issuer.clock()
        record = KeyRecord(
            id=new_id(),
            name=name,
            scopes=tuple(sorted(names)),
            shown=key[:SHOWN_LENGTH],
            created_at=now,
            expires_at=now + timedelta(days=days),
            last_used_at=None,
        )
        with self._issuer.database.transaction() as tx:
            self._require_quota(tx, user_id)
            tx.add(_row(record, user_id, hash_api_key(key)))
            self._record(tx, "api_key_created", user_id, record.id, scopes=format_scopes(names))
        return record, key

    def list_keys(self, user_id: str) -> list[KeyRecord]:
        """Return the keys of a user that are neither revoked nor expired, the newest first."""
        order = (_table.c.created_at.desc(), _table.c.id.desc())
        query = select(_table).where(self._is_usable(user_id)).order_by(*order)
        with self._issuer.database.reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def revoke(self, user_id: str, key_id: str) -> None:
        """Revoke a key of a user. Raise `NotFound` unless it is theirs and usable."""
        with self._issuer.database.transaction() as tx:
            change = (
                update(_table)
                .where(self._is_usable(user_id), _table.c.id == key_id)
                .values(revoked_at=self._issuer.clock())
                .returning(_table.c.hash)
            )
            revoked = tx.execute(change).scalar()
            if revoked is None:
                raise NotFound
            self._record(tx, "api_key_revoked", user_id, key_id)
            event.listen(tx, "after_commit", lambda _: self._forget(revoked), once=True)

    def find_owner(self, key: str) -> KeyOwner:
        """Return the owner of a key that a request carries.

        Raise `ApiKeyInvalid`, or `DatabaseUnavailable`: a key that cannot be checked is refused.
        """
        if not is_well_formed(key):
            raise ApiKeyInvalid
        hashed, now = hash_api_key(key), self._issuer.clock()
        known = self._recall(hashed)
        if known is not None and known.expires_at > now:
            return known.owner
        return self._load(hashed, now)

    def _load(self, hashed: str, now: datetime) -> KeyOwner:
        """Read a key and its user, and remember them for a moment."""
        read_at = self._monotonic()
        with self._issuer.database.reading() as connection:
            row = connection.execute(_BY_HASH, {"hash": hashed}).first()
            if row is None or row.revoked_at is not None or row.expires_at <= now:
                self._forget(hashed)
                raise ApiKeyInvalid
            user = repository.find_by_id(connection, row.user_id)
            if user is None or not user.enabled:
                raise ApiKeyInvalid
            known = self._issuer.known_scopes()
            user_scopes = repository.load_scopes(connection, row.user_id, known)
        scopes = restrict_scopes(user, user_scopes & parse_scopes(row.scopes))
        owner = KeyOwner(row.user_id, scopes)
        self._remember(hashed, _Remembered(row.id, owner, row.expires_at, read_at))
        step = last_used_step(now)
        is_noted = row.last_used_at is not None and row.last_used_at >= step
        return owner if is_noted else replace(owner, record_use=lambda: self._use(row.id, step))

    def _use(self, key_id: str, step: datetime) -> None:
        """Record that a key is in use. A failure fails no request: the next use tries again."""
        try:
            with self._issuer.database.transaction() as tx:
                tx.execute(_NOTE_USE, {"key_id": key_id, "step": step})
        except Exception as error:  # noqa: BLE001 - the response is sent: nobody can get an error
            log.warning("api_key_use_not_noted", key_id=key_id, error=type(error).__name__)

    def _require_quota(self, tx: Session, user_id: str) -> None:
        self._issuer.database.advisory_lock(tx, API_KEY_LOCK)
        query = select(func.count()).select_from(_table).where(self._is_usable(user_id))
        if tx.execute(query).scalar_one() >= self._issuer.settings.api_key_limit:
            raise QuotaExceeded("You have too many API keys; delete one that you do not need.")

    def _is_usable(self, user_id: str) -> ColumnElement[bool]:
        is_open = and_(_table.c.revoked_at.is_(None), _table.c.expires_at > self._issuer.clock())
        return and_(_table.c.user_id == user_id, is_open)

    def _record(self, tx: Session, name: str, user_id: str, key_id: str, **details: str) -> None:
        ids = {"user_id": user_id, "actor_id": user_id}
        self._issuer.audit.record(tx, name, **ids, key_id=key_id, **details)

    def _recall(self, hashed: str) -> _Remembered | None:
        with self._lock:
            known = self._remembered.get(hashed)
            if known is not None and self._monotonic() - known.read_at >= self._max_age:
                del self._remembered[hashed]
                return None
            return known

    def _remember(self, hashed: str, entry: _Remembered) -> None:
        with self._lock:
            self._remembered[hashed] = entry
            while len(self._remembered) > MAX_REMEMBERED_KEYS:
                self._remembered.popitem(last=False)

    def _forget(self, hashed: str) -> None:
        with self._lock:
            self._remembered.pop(hashed, None)


def expired_api_keys(before: datetime) -> tuple[Table, ColumnElement[bool]]:
    """Return the table, and which of its rows expired or were revoked before a time."""
    return _table, or_(_table.c.revoked_at < before, _table.c.expires_at < before)


def _row(record: KeyRecord, user_id: str, hashed: str) -> ApiKey:
    return ApiKey(
        id=record.id,
        user_id=user_id,
        name=record.name,
        scopes=format_scopes(record.scopes),
        hash=hashed,
        shown=record.shown,
        created_at=record.created_at,
        expires_at=record.expires_at,
    )


def _record(row: AnyRow) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        name=row.name,
        scopes=tuple(sorted(parse_scopes(row.scopes))),
        shown=row.shown,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
