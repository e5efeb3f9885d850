"""User changes: what ends when an application changed, disabled or deleted a user of its own.

The layer learns of a change when the application calls `auth.users_changed`. A user who is missing
is gone for good. Some databases give the id to the next user, and an API key or a session of the
previous user must never reach the next one (S-122). A disabled user may come back, and keeps the
API keys; so does one whom a filter of the application hides, because the id is not free. A missing
user of the layer itself keeps them too: the layer gives no id again, and a process that does not
know the users of the application (`users=`) finds none of them.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from itemsapi.accounts.user_state import lock_user, lock_users
from itemsapi.db import HostConnection, has_joined, host_connection
from itemsapi.issuer.api_keys import revoke_api_keys_in
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.sessions import (
    close_sessions,
    record_ended_sessions,
    revoke_access_tokens_in,
)
from itemsapi.user_ids import is_user_id

Reasons = Mapping[str, str | None]  # by user: why sessions end, or None if they go on

USER_MISSING = "user missing"


class UserChanges:
    """Revokes what users have that an application changed, disabled or deleted."""

    def __init__(self, issuer: Issuer) -> None:
        """Use an issuer."""
        self._issuer = issuer

    def revoke(self, user_ids: Iterable[str], connection: HostConnection | None = None) -> None:
        """Revoke the access tokens of users that an application changed, in one transaction.

        The sessions of those who are missing or disabled end, and the API keys of the missing are
        revoked. With `connection`, it is the transaction of the application: on PostgreSQL this
        happens just before its commit, on SQLite at once. An id that no token can have is left out:
        there is nothing to revoke.
        """
        ids = set(filter(is_user_id, user_ids))
        if ids:
            theirs = None if connection is None else host_connection(connection)
            reasons = self._reasons_to_end(ids, theirs)
            self._issuer.database.change_before_commit(self._apply, reasons, connection)

    def _reasons_to_end(self, ids: Iterable[str], connection: Connection | None) -> Reasons:
        return {user_id: _reason_to_end(self._issuer, user_id, connection) for user_id in ids}

    def _apply(self, tx: Session, calls: list[Reasons]) -> None:
        """Revoke what the users of all calls have, with all locks in one order."""
        issuer, reasons = self._issuer, _merge(calls)
        if has_joined(tx) and issuer.users.can_join:  # there may be more changes since the calls
            reasons = _merge([reasons, self._reasons_to_end(reasons, tx.connection())])
        ids = lock_users(tx, reasons)
        _end_in(issuer, tx, {user_id: why for user_id in ids if (why := reasons[user_id])})
        revoke_access_tokens_in(issuer, tx, *ids)
        for user_id in ids:
            issuer.audit.record(tx, "authz_change", user_id=user_id, by="application")


def _merge(readings: Iterable[Reasons]) -> Reasons:
    """Return the last reading of each user; but who was missing once is gone for good (S-122)."""
    merged: dict[str, str | None] = {}
    for user_id, why in (each for reasons in readings for each in reasons.items()):
        if merged.get(user_id) != USER_MISSING:
            merged[user_id] = why
    return merged


def end_missing_user_in(issuer: Issuer, tx: Session, user_id: str) -> None:
    """End the sessions and revoke the API keys of a user of an application who is missing."""
    lock_user(tx, user_id)
    _end_in(issuer, tx, {user_id: USER_MISSING})


def is_missing(issuer: Issuer, user_id: str) -> bool:
    """Return whether a user who is not found is gone for good: the id may be another user's next.

    Ask it outside of a transaction of the layer.
    """
    return issuer.users.reuses_ids and not issuer.users.is_hidden(user_id)


def _reason_to_end(issuer: Issuer, user_id: str, connection: Connection | None) -> str | None:
    """Return why the sessions of a user end, None if they go on; for a changed user it is asked."""
    users = issuer.users
    user = users.find_by_id(user_id, connection)
    if user is not None:
        return None if user.enabled else "user disabled"
    if not users.reuses_ids:
        return None
    return "user hidden" if users.is_hidden(user_id, connection) else USER_MISSING


def _end_in(issuer: Issuer, tx: Session, reasons: dict[str, str]) -> None:
    """End sessions, and revoke the keys of the missing; all rows are locked before the feed is."""
    ended = {
        user_id: close_sessions(issuer, tx, user_id, keep=None, why=why)
        for user_id, why in reasons.items()
    }
    for user_id, why in reasons.items():
        if why == USER_MISSING:
            revoke_api_keys_in(issuer, tx, user_id, why=why)
    for user_id, sids in ended.items():
        record_ended_sessions(issuer, tx, sids, user_id, why=reasons[user_id], caller_id=None)
