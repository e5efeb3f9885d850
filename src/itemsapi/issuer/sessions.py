"""Sessions: list the sessions of a user, end one, end the others, end all sessions of all users.

Ending a session closes its row and writes one revocation, both in one transaction, so that an
acknowledged end survives any crash (S-066, S-068). Locks are always taken in the same order to
avoid deadlocks: the user, the sessions by id, the revocation feed. Functions whose name ends in
`_in` work in the transaction of their caller.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from itemsapi.accounts.user_state import lock_user, set_epochs
from itemsapi.issuer.issuer import Issuer
from itemsapi.problems import NotFound, RefreshInvalid, TokenInvalid
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.revocation import ALL_USERS, SESSIONS_EPOCH, session_target, user_target
from itemsapi.tokens.sessions import (
    AuthSession,
    find_session,
    last_used_at,
    lock_open_sessions,
)
from itemsapi.tokens.sessions import end_session as close_session

_table = AuthSession.core()


def logout(issuer: Issuer, token: str, *, delivery: str) -> None:
    """End the session of a refresh token. Idempotent: an invalid token ends nothing."""
    try:
        claims = issuer.token_codec.verify_refresh_token(token)
    except RefreshInvalid:
        return
    with issuer.database.transaction() as tx:
        session = find_session(tx, claims.sid)
        if session is None or session.delivery != delivery:
            return
        if claims.gen >= session.renewed_gen:  # a token from before a password change ends nothing
            end_session_in(issuer, tx, claims.sid, claims.sub, why="logout")


def revoke_token(issuer: Issuer, token: str) -> None:
    """End the session of an access or refresh token; an invalid one ends nothing (RFC 7009)."""
    try:
        claims = issuer.token_codec.verify_access_token(token)
    except TokenInvalid:
        logout(issuer, token, delivery="body")
        return
    with suppress(TokenInvalid):  # a revoked token ends nothing
        issuer.revocation_feed.check(
            sid=claims.sid, gen=claims.gen, user_id=claims.sub, epoch=claims.epoch
        )
        _end_session_of_token(issuer, claims)


def _end_session_of_token(issuer: Issuer, claims: Claims) -> None:
    with issuer.database.transaction() as tx:
        end_session_in(issuer, tx, claims.sid, claims.sub, why="token revoked")


def end_session(issuer: Issuer, sid: str, user_id: str, *, why: str, caller_id: str) -> None:
    """End one session of a user. Raise `NotFound` unless the session is theirs."""
    with issuer.database.transaction() as tx:
        end_found_session_in(issuer, tx, sid, user_id, why=why, caller_id=caller_id)


def end_found_session_in(  # noqa: PLR0913 - all of it goes into the audit event
    issuer: Issuer, tx: Session, sid: str, user_id: str, *, why: str, caller_id: str | None
) -> None:
    """End one session of a user. Raise `NotFound` unless the session is theirs."""
    session = find_session(tx, sid)
    if session is None or session.user_id != user_id:
        raise NotFound
    end_session_in(issuer, tx, sid, user_id, why=why, caller_id=caller_id)


def end_other_sessions(
    issuer: Issuer, user_id: str, *, keep: str | None, why: str, caller_id: str | None
) -> int:
    """End every session of a user except `keep`; return the number of ended sessions."""
    with issuer.database.transaction() as tx:
        return end_user_sessions_in(issuer, tx, user_id, keep=keep, why=why, caller_id=caller_id)


def end_all_sessions(issuer: Issuer, *, why: str, caller_id: str | None = None) -> None:
    """End all sessions of all users."""
    with issuer.database.transaction() as tx:
        end_all_sessions_in(issuer, tx, why=why, caller_id=caller_id)


def end_all_sessions_in(issuer: Issuer, tx: Session, *, why: str, caller_id: str | None) -> None:
    """End all sessions of all users, by one revocation (R-19)."""
    issuer.revocation_feed.revoke(tx, ALL_USERS, sessions=True)
    issuer.audit.record(tx, "session_end_everybody", caller_id=caller_id, why=why)


def end_session_in(  # noqa: PLR0913 - as above
    issuer: Issuer, tx: Session, sid: str, user_id: str, *, why: str, caller_id: str | None = None
) -> bool:
    """End one session. Return whether it was open."""
    if not close_session(tx, sid, now=issuer.clock(), reason=why):
        return False
    record_ended_sessions(issuer, tx, [sid], user_id, why=why, caller_id=caller_id)
    return True


def end_user_sessions_in(  # noqa: PLR0913 - as above
    issuer: Issuer, tx: Session, user_id: str, *, keep: str | None, why: str, caller_id: str | None
) -> int:
    """End the open sessions of a user except `keep`; return the number of ended sessions."""
    ended = close_sessions(issuer, tx, user_id, keep=keep, why=why)
    record_ended_sessions(issuer, tx, ended, user_id, why=why, caller_id=caller_id)
    return len(ended)


def close_sessions(
    issuer: Issuer, tx: Session, user_id: str, *, keep: str | None, why: str
) -> list[str]:
    """Close the open sessions of a user except `keep`; return their ids.

    The caller goes on with `record_ended_sessions`, once it has all the locks that it needs.
    """
    now = issuer.clock()
    open_sids = [sid for sid in lock_open_sessions(tx, user_id) if sid != keep]
    return [sid for sid in open_sids if close_session(tx, sid, now=now, reason=why)]


def record_ended_sessions(  # noqa: PLR0913 - all of it goes into the audit event
    issuer: Issuer,
    tx: Session,
    ended: Sequence[str],
    user_id: str,
    *,
    why: str,
    caller_id: str | None,
) -> None:
    """Revoke the tokens of ended sessions and record the audit events."""
    if ended:
        issuer.revocation_feed.revoke(tx, *map(session_target, ended))
    ids = {"user_id": user_id, "caller_id": caller_id}
    for sid in ended:
        issuer.audit.record(tx, "session_end", **ids, session_id=sid, why=why)


def revoke_access_tokens(issuer: Issuer, tx: Session, user_id: str) -> int:
    """Revoke all access tokens of a user, but no session; return the user's new epoch.

    Called when roles or the password change: old grants must not outlive the change (S-183). The
    client gets new tokens at its next refresh. A caller that has the lock of the feed must have
    locked the user before: one lock order.
    """
    lock_user(tx, user_id)  # waits for refreshes in progress
    return revoke_access_tokens_in(issuer, tx, user_id)


def revoke_access_tokens_in(issuer: Issuer, tx: Session, *user_ids: str) -> int:
    """Revoke the access tokens of users that `tx` has locked; return their new epoch."""
    epoch = issuer.revocation_feed.revoke(tx, *map(user_target, user_ids))
    set_epochs(tx, user_ids, epoch)
    return epoch


def list_open_sessions(issuer: Issuer, user_id: str) -> list[dict[str, Any]]:
    """Return the live sessions of a user, latest use first, each with `last_used_at`.

    They are sorted by that rounded time, so that the order reveals nothing more.
    """
    now = issuer.clock()
    live = (
        select(_table)
        .where(_table.c.user_id == user_id, _table.c.ended_at.is_(None))
        .where(_table.c.expires_at > now, _table.c.rotated_at > _idle_since(issuer, now))
        .where(_table.c.epoch >= SESSIONS_EPOCH)
    )
    with issuer.database.reading() as connection:
        rows = connection.execute(live).all()
    sessions = [row._asdict() | {"last_used_at": last_used_at(row, now)} for row in rows]
    return sorted(sessions, key=lambda s: (s["last_used_at"], s["id"]), reverse=True)


def _idle_since(issuer: Issuer, now: datetime) -> datetime:
    return now - issuer.settings.session_max_idle
