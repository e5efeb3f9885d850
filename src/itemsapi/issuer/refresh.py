"""Refresh: a refresh token becomes its successor and a new access token.

Who presents the good token gets the next generation. Who presents its direct predecessor a moment
late, or before anybody has seen the successor, gets the same successor again. Anything else is a
copied token: the session ends, and the refusal is raised after that has been committed.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from itemsapi.accounts import lookup
from itemsapi.accounts.lookup import Holder
from itemsapi.clock import stamp
from itemsapi.db import AnyRow
from itemsapi.issuer.desk import Desk
from itemsapi.issuer.grants import Grant, Terms, grant, narrowed
from itemsapi.problems import RefreshInvalid, RefreshReused
from itemsapi.tokens.codec import RefreshClaims
from itemsapi.tokens.revocations import cutoff, session_target
from itemsapi.tokens.sessions import Rotation, Turn, end, find, rotate


def refresh(desk: Desk, token: str, *, delivery: str, scope: str | None = None) -> Grant:
    """Turn a refresh token over.

    `delivery` is how it arrived; a session's way is fixed at sign-in. Raises `RefreshInvalid`,
    `RefreshReused`, `ScopeInvalid`, `DatabaseUnavailable` (the same token may be tried again).
    """
    claims = desk.codec.read_refresh(token)
    with desk.database.transaction() as tx:
        outcome = _turned(desk, tx, claims, delivery=delivery, scope=scope)
    if isinstance(outcome, RefreshInvalid):
        raise outcome
    return grant(desk, *outcome)


def _turned(
    desk: Desk, tx: Session, claims: RefreshClaims, *, delivery: str, scope: str | None
) -> tuple[AnyRow, Terms] | RefreshInvalid:
    """Do the whole refresh in one transaction; a refusal that must be committed is returned.

    Tokens are minted afterwards: if that fails, the same refresh token may be tried again.
    """
    now = desk.clock()
    terms = _terms(desk, tx, claims, now, delivery=delivery, scope=scope)
    if terms is None:
        return RefreshInvalid()
    rotation = rotate(tx, claims.sid, claims.gen, now=now, limits=desk.limits)
    _record(desk, tx, claims, rotation)
    if rotation.turn.copied:
        end(tx, claims.sid, now=now, why="refresh reused")
        desk.feed.revoke(tx, session_target(claims.sid))
        return RefreshReused()
    if rotation.session is None or not rotation.turn.good:
        return RefreshInvalid()
    return rotation.session, terms


def _terms(  # noqa: PLR0913 - all that a session may be judged by
    desk: Desk,
    tx: Session,
    claims: RefreshClaims,
    now: datetime,
    *,
    delivery: str,
    scope: str | None,
) -> Terms | None:
    """Find out what the session may be given, before anything is turned over.

    The user is held: whoever changes their roles comes before this transaction or after it.
    """
    holder = lookup.by_id(tx, claims.sub, hold=True)
    session, everybody = find(tx, claims.sid), cutoff(tx)
    if session is None or holder is None or not _belongs(session, holder, delivery):
        return None
    if not holder.enabled or session.auth_time < everybody.sessions:
        return None
    have = lookup.scopes_of(tx, holder.id, desk.known_scopes())
    granted = have & narrowed(have | _asked(session), session.scope)
    issued_at = max(stamp(now), holder.tokens_not_before, everybody.tokens)
    return Terms(narrowed(granted, scope), issued_at, fresh=False)


def _asked(session: AnyRow) -> frozenset[str]:
    """The scopes asked for at sign-in: some of them may have been taken away since."""
    return frozenset(session.scope.split(" ")) if session.scope else frozenset()


def _belongs(session: AnyRow, holder: Holder, delivery: str) -> bool:
    return bool(session.account_id == holder.id and session.delivery == delivery)


def _record(desk: Desk, tx: Session, claims: RefreshClaims, rotation: Rotation) -> None:
    """Note what is worth telling: grace, healing and reuse, with the cause (S-062, S-149)."""
    event = {
        Turn.GRACE: "token_refresh_grace",
        Turn.HEALED: "token_refresh_healed",
    }.get(rotation.turn, "token_reuse" if rotation.turn.copied else None)
    if event:
        cause = rotation.turn.value
        desk.audit.record(
            tx, event, user_id=claims.sub, session_id=claims.sid, gen=claims.gen, cause=cause
        )
