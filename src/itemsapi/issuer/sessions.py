"""Sessions: list the sign-ins of a user, end one, end the others, end everybody's.

Ending a session closes its row and writes one revocation; both are in one transaction, so that what
was acknowledged holds after any crash (S-066, S-068). Locks are taken in one order, or two who end
the same sessions could wait for each other: the account, sessions by id, and the feed at the end.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from itemsapi.accounts.models import User
from itemsapi.issuer.issuer import Issuer
from itemsapi.problems import NotFound, RefreshInvalid, TokenInvalid
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.revocation import EVERYBODY, SESSIONS_EPOCH, session_target, user_target
from itemsapi.tokens.sessions import AuthSession, end, find, last_used_at, lock_open_sessions

_table = AuthSession.core()


def logout(issuer: Issuer, token: str, *, delivery: str) -> None:
    """End the session of a refresh token. Idempotent: a token that is no good ends nothing."""
    try:
        claims = issuer.token_codec.read_refresh(token)
    except RefreshInvalid:
        return
    with issuer.database.transaction() as tx:
        session = find(tx, claims.sid)
        if session is None or session.delivery != delivery:
            return
        if claims.gen >= session.renewed_gen:  # or who was shut out by a new password shuts out
            finish(issuer, tx, claims.sid, claims.sub, why="logout")


def revoke_token(issuer: Issuer, token: str) -> None:
    """End the session of a token of either kind; one that is no good ends nothing (RFC 7009)."""
    try:
        claims = issuer.token_codec.read_access(token)
    except TokenInvalid:
        logout(issuer, token, delivery="body")
        return
    with suppress(TokenInvalid):  # one that is revoked already ends nothing
        issuer.revocation_feed.check(
            sid=claims.sid, gen=claims.gen, user_id=claims.sub, epoch=claims.epoch
        )
        _end_session_of(issuer, claims)


def _end_session_of(issuer: Issuer, claims: Claims) -> None:
    with issuer.database.transaction() as tx:
        finish(issuer, tx, claims.sid, claims.sub, why="token revoked")


def end_session(issuer: Issuer, sid: str, user_id: str, *, why: str, actor: str) -> None:
    """End one session of a user. Raises `NotFound` if it is not theirs."""
    with issuer.database.transaction() as tx:
        session = find(tx, sid)
        if session is None or session.user_id != user_id:
            raise NotFound
        finish(issuer, tx, sid, user_id, why=why, actor=actor)


def end_others(issuer: Issuer, user_id: str, *, keep: str | None, why: str, actor: str) -> int:
    """End every session of a user but `keep`; return how many."""
    with issuer.database.transaction() as tx:
        return finish_all(issuer, tx, user_id, keep=keep, why=why, actor=actor)


def end_everybodys(issuer: Issuer, *, why: str, actor: str | None = None) -> None:
    """End every session there is."""
    with issuer.database.transaction() as tx:
        finish_everybodys(issuer, tx, why=why, actor=actor)


def finish_everybodys(issuer: Issuer, tx: Session, *, why: str, actor: str | None) -> None:
    """End every session there is, in a transaction, by one row (R-19)."""
    issuer.revocation_feed.revoke(tx, EVERYBODY, sessions=True)
    issuer.audit.record(tx, "session_end_everybody", actor_id=actor, why=why)


def finish(  # noqa: PLR0913 - who, whose, why: an ending is told whole
    issuer: Issuer, tx: Session, sid: str, user_id: str, *, why: str, actor: str | None = None
) -> bool:
    """End one session in a transaction; tell whether it was open."""
    if not end(tx, sid, now=issuer.clock(), why=why):
        return False
    _tell(issuer, tx, [sid], user_id, why=why, actor=actor)
    return True


def finish_all(  # noqa: PLR0913 - as above
    issuer: Issuer, tx: Session, user_id: str, *, keep: str | None, why: str, actor: str | None
) -> int:
    """End a user's open sessions but `keep`, in a transaction; return how many."""
    now = issuer.clock()
    wanted = [sid for sid in lock_open_sessions(tx, user_id) if sid != keep]
    ended = [sid for sid in wanted if end(tx, sid, now=now, why=why)]
    _tell(issuer, tx, ended, user_id, why=why, actor=actor)
    return len(ended)


def _tell(  # noqa: PLR0913 - all of it goes into the audit event
    issuer: Issuer, tx: Session, ended: Sequence[str], user_id: str, *, why: str, actor: str | None
) -> None:
    """Tell the other processes and the audit trail that sessions were ended."""
    if ended:
        issuer.revocation_feed.revoke(tx, *map(session_target, ended))
    who = {"user_id": user_id, "actor_id": actor}
    for sid in ended:
        issuer.audit.record(tx, "session_end", **who, session_id=sid, why=why)


def recall_tokens(issuer: Issuer, tx: Session, user_id: str) -> int:
    """Void the access tokens a user has now, leaving sessions be; return their new epoch.

    For changed roles and passwords: what was granted must not outlive the change (S-183). The next
    refresh brings new tokens.
    """
    user = tx.get_one(User, user_id, with_for_update=True)  # no refresh is half-way from here on
    user.epoch = issuer.revocation_feed.revoke(tx, user_target(user_id))
    return user.epoch


def open_sessions(issuer: Issuer, user_id: str) -> list[dict[str, Any]]:
    """List the sessions of a user that are alive, latest use first, each with `last_used_at`.

    They are sorted by that rounded time, so that the order reveals no more.
    """
    now = issuer.clock()
    wanted = (
        select(_table)
        .where(_table.c.user_id == user_id, _table.c.ended_at.is_(None))
        .where(_table.c.expires_at > now, _table.c.rotated_at > _idle_since(issuer, now))
        .where(_table.c.epoch >= SESSIONS_EPOCH)
    )
    with issuer.database.reading() as connection:
        rows = connection.execute(wanted).all()
    found = [row._asdict() | {"last_used_at": last_used_at(row, now)} for row in rows]
    return sorted(found, key=lambda one: (one["last_used_at"], one["id"]), reverse=True)


def _idle_since(issuer: Issuer, now: datetime) -> datetime:
    return now - issuer.settings.session_max_idle
