"""API keys: users make keys for their programs, list and revoke them.

A key has the scopes that it was made with, as long as its user has them: a user who was disabled or
lost a role loses them in all keys at once (`api_key_lookup`). The keys of a user who is missing are
revoked for good (`user_changes`). A key is for programs, it never stands in for a sign-in: no key
makes another key (S-163), and a change of password revokes none.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, and_, func, or_, select, update
from sqlalchemy.orm import Session

from itemsapi.accounts.user_state import lock_user
from itemsapi.audit import EventName
from itemsapi.clock import new_id
from itemsapi.db import AnyRow, run_after_commit
from itemsapi.issuer.issuer import Issuer
from itemsapi.problems import NotFound, QuotaExceeded, TokenInvalid, ValidationFailed
from itemsapi.tokens.api_keys import (
    SHOWN_LENGTH,
    ApiKey,
    hash_api_key,
    make_api_key,
)
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.revocation import load_global_epochs
from itemsapi.tokens.scopes import format_scopes, parse_scopes
from itemsapi.tokens.sessions import find_session

API_KEY_LOCK = 7_204  # the id of the advisory lock around the check of the quota

_table = ApiKey.core()


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


class ApiKeyService:
    """Makes, lists and revokes the keys of a user."""

    def __init__(self, issuer: Issuer, forget: Callable[[str], None]) -> None:
        """Take the issuer, and what makes this process forget a revoked key by its hash."""
        self._issuer, self._forget = issuer, forget

    def create(
        self, token: Claims, *, name: str, scopes: Iterable[str], days: int
    ) -> tuple[KeyRecord, str]:
        """Make a key of a user that expires after `days`; return its record and the key itself.

        `token` is the request's access token. Raise `ValidationFailed` for a scope that it does not
        have, `QuotaExceeded` if the user has too many keys, and `TokenInvalid` if the token was
        revoked or the user is gone since the gate admitted the request.
        """
        user_id, names = token.sub, frozenset(scopes)
        if not names <= token.scopes:
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
        self._require_user(user_id)
        with self._issuer.database.transaction() as tx:
            _require_valid(tx, token)
            self._require_quota(tx, user_id)
            tx.add(_row(record, user_id, hash_api_key(key)))
            self._record(tx, "api_key_created", user_id, record.id, scopes=format_scopes(names))
        return record, key

    def list_keys(self, user_id: str) -> list[KeyRecord]:
        """Return the keys of a user that are neither revoked nor expired, the newest first."""
        order = (_table.c.created_at.desc(), _table.c.id.desc())
        query = select(_table).where(_is_usable(self._issuer, user_id)).order_by(*order)
        with self._issuer.database.reading() as connection:
            return [_key_record(row) for row in connection.execute(query)]

    def revoke(self, user_id: str, key_id: str) -> None:
        """Revoke a key of a user. Raise `NotFound` unless it is theirs and usable."""
        with self._issuer.database.transaction() as tx:
            change = (
                update(_table)
                .where(_is_usable(self._issuer, user_id), _table.c.id == key_id)
                .values(revoked_at=self._issuer.clock())
                .returning(_table.c.hash)
            )
            revoked = tx.execute(change).scalar()
            if revoked is None:
                raise NotFound
            self._record(tx, "api_key_revoked", user_id, key_id)
            run_after_commit(tx, lambda: self._forget(revoked))

    def _require_user(self, user_id: str) -> None:
        """Raise `TokenInvalid` for a user who may not sign in; nobody may have told the layer."""
        user = self._issuer.users.find_by_id(user_id)
        if user is None or not user.enabled:
            raise TokenInvalid

    def _require_quota(self, tx: Session, user_id: str) -> None:
        self._issuer.database.advisory_lock(tx, API_KEY_LOCK)
        query = select(func.count()).select_from(_table).where(_is_usable(self._issuer, user_id))
        if tx.execute(query).scalar_one() >= self._issuer.settings.api_key_limit:
            raise QuotaExceeded("You have too many API keys; delete one that you do not need.")

    def _record(
        self, tx: Session, event: EventName, user_id: str, key_id: str, **details: str
    ) -> None:
        ids = {"user_id": user_id, "caller_id": user_id}
        self._issuer.audit.record(tx, event, **ids, key_id=key_id, **details)


def _require_valid(tx: Session, token: Claims) -> None:
    """Raise `TokenInvalid` for a token that was revoked; lock its user until the key is stored.

    The gate's copy of the revocations is older. Whoever ends what a missing user has takes the same
    lock: their look at the keys comes after ours, or our look at the revocations after theirs, so
    no key is left over for the next user with the id (S-122).
    """
    state, session = lock_user(tx, token.sub), find_session(tx, token.sid)
    is_revoked = token.epoch < max(state.epoch, load_global_epochs(tx).tokens)
    if is_revoked or session is None or session.ended_at is not None:
        raise TokenInvalid


def revoke_api_keys_in(issuer: Issuer, tx: Session, user_id: str, *, why: str) -> None:
    """Revoke all keys of a user; each process refuses them within the revocation lag."""
    change = (
        update(_table)
        .where(_is_usable(issuer, user_id))
        .values(revoked_at=issuer.clock())
        .returning(_table.c.id)
    )
    for key_id in tx.scalars(change).all():
        issuer.audit.record(tx, "api_key_revoked", user_id=user_id, key_id=key_id, why=why)


def _is_usable(issuer: Issuer, user_id: str) -> ColumnElement[bool]:
    is_open = and_(_table.c.revoked_at.is_(None), _table.c.expires_at > issuer.clock())
    return and_(_table.c.user_id == user_id, is_open)


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


def _key_record(row: AnyRow) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        name=row.name,
        scopes=tuple(sorted(parse_scopes(row.scopes))),
        shown=row.shown,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
