"""Login: a name and a password become a session and its first tokens.

Unknown users, disabled users and wrong passwords cost the same and read the same (S-184). Tries are
counted as `guessing` has it. No connection is held while Argon2 works.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.accounts.models import User
from itemsapi.accounts.repository import IssuerUser
from itemsapi.clock import new_id, stamp
from itemsapi.db import AnyRow
from itemsapi.issuer import login_throttling
from itemsapi.issuer.grants import Grant, GrantDetails, grant, narrowed, restricted
from itemsapi.issuer.issuer import Issuer
from itemsapi.observability.logging import request_context
from itemsapi.problems import Busy, CredentialsInvalid, ScopeInvalid
from itemsapi.tokens.revocation import everybodys_epochs, session_target
from itemsapi.tokens.sessions import AuthSession, end, find


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """What is shown and wished for at sign-in; `delivery` is `body` or `cookie`."""

    username: str
    password: str = field(repr=False)
    scope: str | None = None
    device: str | None = None
    delivery: str = "body"


def login(issuer: Issuer, wish: LoginRequest) -> Grant:
    """Sign a user in. Raises `CredentialsInvalid`, `ScopeInvalid`, `TooMany`, `Busy`."""
    with login_throttling.login_attempt(issuer, wish.username) as guess:
        opened = _judged(issuer, wish, guess)
    return grant(issuer, *opened)


def _judged(
    issuer: Issuer, wish: LoginRequest, guess: login_throttling.LoginAttempt
) -> tuple[AnyRow, GrantDetails]:
    """Look at the password, again if what is stored has changed meanwhile."""
    for _ in range(login_throttling.MAX_VERIFICATIONS):
        with issuer.database.reading() as connection:
            user = repository.find_by_name(connection, wish.username)
        right = login_throttling.matches(issuer, guess, wish.password, user)
        over = user is not None and user.password_expired(issuer.clock())
        if user is None or not right or not user.enabled or over:
            why = _why(user, right=right)
            told = CredentialsInvalid()
            raise login_throttling.fail(issuer, guess, user, "authn_login_fail", why=why, told=told)
        with suppress(login_throttling.CredentialsChanged):
            return _opened(issuer, wish, user, guess)
    raise Busy


def _why(user: IssuerUser | None, *, right: bool) -> str:
    """Tell operators what the answer must not tell."""
    if user is None:
        return "unknown user"
    if not right:
        return "wrong password"
    return "one-time password too old" if user.enabled else "disabled user"


def _opened(
    issuer: Issuer, wish: LoginRequest, user: IssuerUser, guess: login_throttling.LoginAttempt
) -> tuple[AnyRow, GrantDetails]:
    """Open the session. Raises `Changed`, and `ScopeInvalid`, which leaves a trace (S-149)."""
    renewed = _rehashed(issuer, user, wish.password)
    try:
        with issuer.database.transaction() as tx:
            current = repository.find_by_id(tx, user.id, lock=True)
            if current is None or replace(current, epoch=0) != replace(user, epoch=0):
                raise login_throttling.CredentialsChanged
            if renewed:
                tx.get_one(User, user.id).password_hash = renewed
            login_throttling.succeed(issuer, tx, guess)
            return begin(issuer, tx, current, wish)
    except ScopeInvalid as refusal:
        with issuer.database.transaction() as tx:
            issuer.audit.record(tx, "authn_login_fail", user_id=user.id, why=refusal.code)
        raise


def _rehashed(issuer: Issuer, user: IssuerUser, password: str) -> str | None:
    """Return the password stored with today's parameters, if it is not already (S-047)."""
    if not issuer.password_service.outdated(user.password_hash):
        return None
    try:
        return issuer.password_service.hash(password)
    except Busy:
        return None  # the next sign-in will do


def begin(
    issuer: Issuer, tx: Session, user: IssuerUser, wish: LoginRequest
) -> tuple[AnyRow, GrantDetails]:
    """Open a new session for a proven user: never one that the client names (S-069).

    Its tokens are minted with what this returns, after the transaction.
    """
    now, everybody = issuer.clock(), everybodys_epochs(tx)  # before the scopes
    have = repository.scopes_of(tx, user.id, issuer.known_scopes())
    scopes = restricted(user, narrowed(have, wish.scope))
    sid = new_id()
    tx.add(_row(issuer, sid, user, wish, now=now, epoch=everybody.sessions))
    tx.flush()
    _keep_within_limit(issuer, tx, user.id, now)
    issuer.audit.record(tx, "authn_login_success", user_id=user.id, session_id=sid)
    session = find(tx, sid)
    assert session is not None  # noqa: S101 - it was written above
    epoch = max(user.epoch, everybody.tokens)
    return session, GrantDetails(scopes, stamp(now), epoch, fresh=True)


def _row(  # noqa: PLR0913 - a session's row is made of all of it
    issuer: Issuer, sid: str, user: IssuerUser, wish: LoginRequest, *, now: datetime, epoch: int
) -> AuthSession:
    return AuthSession(
        id=sid,
        user_id=user.id,
        delivery=wish.delivery,
        scope=wish.scope,
        amr="pwd",
        auth_time=stamp(now),
        epoch=epoch,
        device=_device(wish.device) or _device(request_context().user_agent) or "unknown device",
        address=request_context().address[:64],
        created_at=now,
        rotated_at=now,
        used_before=now,
        checkpoint_at=now,
        expires_at=now + issuer.settings.session_max_age,
    )


def _device(told: str | None) -> str:
    """Return how a device is called in lists, or nothing where nothing of it would be seen."""
    return (told or "").strip()[:120]


def _keep_within_limit(issuer: Issuer, tx: Session, user_id: str, now: datetime) -> None:
    """End the oldest live sessions above the limit (S-124); the user is held, so none slips by."""
    idle_since = now - issuer.settings.session_max_idle
    too_many = (
        select(AuthSession.id)
        .where(AuthSession.user_id == user_id, AuthSession.ended_at.is_(None))
        .where(AuthSession.expires_at > now, AuthSession.rotated_at > idle_since)
        .order_by(AuthSession.created_at.desc(), AuthSession.id.desc())
        .offset(issuer.settings.session_limit)
    )
    found = sorted(tx.scalars(too_many).all())
    ended = [sid for sid in found if end(tx, sid, now=now, why="session limit")]
    for sid in ended:  # rows before the feed, as everywhere: one order, no deadlock
        issuer.revocation_feed.revoke(tx, session_target(sid))
        issuer.audit.record(tx, "session_limit", user_id=user_id, session_id=sid)
