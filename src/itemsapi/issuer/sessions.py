"""Sessions: list the sign-ins of a user, end one, end the others, end everybody's.

Ending a session closes its row and writes one revocation; both are in one transaction, so that what
was acknowledged holds after any crash (S-066, S-068). Locks are taken in one order, or two who end
the same sessions could wait for each other: the account, sessions by id, and the feed at the end.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from itemsapi.accounts.user import User
from itemsapi.db import AnyRow
from itemsapi.issuer.desk import Desk
from itemsapi.problems import NotFound, RefreshInvalid, TokenInvalid
from itemsapi.tokens.revocations import (
    EVERYBODY,
    SESSIONS_SINCE,
    cutoff,
    latest_moment,
    session_target,
    user_target,
)
from itemsapi.tokens.sessions import AuthSession, end, find

_table = AuthSession.core()


def logout(desk: Desk, token: str, *, delivery: str) -> None:
    """End the session of a refresh token. Idempotent: a token that is no good ends nothing."""
    try:
        claims = desk.codec.read_refresh(token)
    except RefreshInvalid:
        return
    with desk.database.transaction() as tx:
        session = find(tx, claims.sid)
        if session is not None and session.delivery == delivery:
            finish(desk, tx, claims.sid, claims.sub, why="logout")


def revoke_token(desk: Desk, token: str) -> None:
    """End the session of a token of either kind; one that is no good ends nothing (RFC 7009)."""
    try:
        claims = desk.codec.read_access(token)
    except TokenInvalid:
        logout(desk, token, delivery="body")
        return
    with desk.database.transaction() as tx:
        finish(desk, tx, claims.sid, claims.sub, why="token revoked")


def end_session(desk: Desk, sid: str, user_id: str, *, why: str, actor: str) -> None:
    """End one session of a user. Raises `NotFound` if it is not theirs."""
    with desk.database.transaction() as tx:
        session = find(tx, sid)
        if session is None or session.account_id != user_id:
            raise NotFound
        finish(desk, tx, sid, user_id, why=why, actor=actor)


def end_others(desk: Desk, user_id: str, *, keep: str | None, why: str, actor: str) -> int:
    """End every session of a user but `keep`; return how many."""
    with desk.database.transaction() as tx:
        return finish_all(desk, tx, user_id, keep=keep, why=why, actor=actor)


def end_everybodys(desk: Desk, *, why: str, actor: str | None = None) -> None:
    """End every session there is, by one row (R-19)."""
    with desk.database.transaction() as tx:
        moment = desk.feed.moment(tx, after=latest_moment(tx))
        desk.feed.revoke(tx, EVERYBODY, moment=moment, sessions=True)
        desk.audit.record(tx, "session_end_everybody", actor_id=actor, why=why)


def finish(  # noqa: PLR0913 - who, whose, why: an ending is told whole
    desk: Desk, tx: Session, sid: str, user_id: str, *, why: str, actor: str | None = None
) -> bool:
    """End one session in a transaction; tell whether it was open."""
    if not end(tx, sid, now=desk.clock(), why=why):
        return False
    _tell(desk, tx, sid, user_id, why=why, actor=actor)
    return True


def _tell(  # noqa: PLR0913 - all of it goes into the audit event
    desk: Desk, tx: Session, sid: str, user_id: str, *, why: str, actor: str | None
) -> None:
    """Tell the other processes and the audit trail that a session was ended."""
    desk.feed.revoke(tx, session_target(sid))
    desk.audit.record(tx, "session_end", user_id=user_id, session_id=sid, actor_id=actor, why=why)


def finish_all(  # noqa: PLR0913 - as above
    desk: Desk, tx: Session, user_id: str, *, keep: str | None, why: str, actor: str | None
) -> int:
    """End a user's open sessions but `keep`, in a transaction; return how many."""
    open_ones = (
        select(AuthSession.id)
        .where(AuthSession.account_id == user_id, AuthSession.ended_at.is_(None))
        .order_by(AuthSession.id)
    )
    now = desk.clock()
    wanted = [sid for sid in tx.scalars(open_ones).all() if sid != keep]
    ended = [sid for sid in wanted if end(tx, sid, now=now, why=why)]
    for sid in ended:
        _tell(desk, tx, sid, user_id, why=why, actor=actor)
    return len(ended)


def recall_tokens(desk: Desk, tx: Session, user_id: str) -> None:
    """Void the access tokens a user has now, leaving sessions be: the next refresh brings new ones.

    For changed roles: what was granted must not outlive the change (S-183).
    """
    user = tx.get_one(User, user_id, with_for_update=True)  # no refresh is half-way from here on
    moment = desk.feed.moment(tx, after=max(user.tokens_not_before, cutoff(tx).tokens))
    user.tokens_not_before = moment
    desk.feed.revoke(tx, user_target(user_id), moment=moment)


def open_sessions(desk: Desk, user_id: str) -> Sequence[AnyRow]:
    """List the sessions of a user that are alive, latest use first."""
    now = desk.clock()
    wanted = (
        select(_table)
        .where(_table.c.account_id == user_id, _table.c.ended_at.is_(None))
        .where(_table.c.expires_at > now, _table.c.rotated_at > _idle_since(desk, now))
        .where(_table.c.auth_time >= SESSIONS_SINCE)
        .order_by(_table.c.rotated_at.desc(), _table.c.id.desc())
    )
    with desk.database.reading() as connection:
        return connection.execute(wanted).all()


def _idle_since(desk: Desk, now: datetime) -> datetime:
    return now - desk.settings.session_max_idle
