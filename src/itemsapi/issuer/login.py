"""Login: exchange a user name and a password for a session and its first tokens.

Unknown users, disabled users and wrong passwords take the same time and get the same response
(S-184). `login_throttling` limits the attempts. No database connection is in use while Argon2 runs.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.accounts.models import User
from itemsapi.accounts.repository import IssuerUser
from itemsapi.clock import new_id, unix_seconds
from itemsapi.db import AnyRow
from itemsapi.issuer import login_throttling
from itemsapi.issuer.issuer import (
    Grant,
    GrantDetails,
    Issuer,
    grant_tokens,
    narrow_scopes,
    restrict_scopes,
)
from itemsapi.observability.context import request_context
from itemsapi.problems import Busy, CredentialsInvalid, ScopeInvalid
from itemsapi.tokens.revocation import load_global_epochs, session_target
from itemsapi.tokens.sessions import AuthSession, end_session, find_session


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """The parameters of a sign-in; `delivery` of the refresh token is `body` or `cookie`."""

    username: str
    password: str = field(repr=False)
    scope: str | None = None
    device: str | None = None
    delivery: str = "body"


def login(issuer: Issuer, request: LoginRequest) -> Grant:
    """Sign a user in.

    Raise `CredentialsInvalid`, `ScopeInvalid`, `TooManyRequests`, `Busy` or `ClaimsUnavailable`.
    """
    with login_throttling.login_attempt(issuer, request.username) as attempt:
        session_and_details = _verify_password(issuer, request, attempt)
    return grant_tokens(issuer, *session_and_details)


def _verify_password(
    issuer: Issuer, request: LoginRequest, attempt: login_throttling.LoginAttempt
) -> tuple[AnyRow, GrantDetails]:
    """Verify the password, again if the stored one changed meanwhile, and open the session."""
    for _ in range(login_throttling.MAX_VERIFICATIONS):
        with issuer.database.reading() as connection:
            user = repository.find_by_name(connection, request.username)
        is_correct = login_throttling.password_matches(issuer, attempt, request.password, user)
        has_expired = user is not None and user.password_expired(issuer.clock())
        if user is None or not is_correct or not user.enabled or has_expired:
            why = _failure_reason(user, is_correct=is_correct)
            raise login_throttling.record_failure(
                issuer, attempt, user, "authn_login_fail", why=why, problem=CredentialsInvalid()
            )
        with suppress(login_throttling.CredentialsChanged):
            claims = issuer.additional_claims.load(issuer.database, user.id)
            session, details = _open_session(issuer, request, user, attempt)
            return session, details.with_claims(claims)
    raise Busy


def _failure_reason(user: IssuerUser | None, *, is_correct: bool) -> str:
    """Return the reason for the audit trail; the response must not contain it."""
    if user is None:
        return "unknown user"
    if not is_correct:
        return "wrong password"
    return "temporary password expired" if user.enabled else "disabled user"


def _open_session(
    issuer: Issuer, request: LoginRequest, user: IssuerUser, attempt: login_throttling.LoginAttempt
) -> tuple[AnyRow, GrantDetails]:
    """Open the session. Raise `CredentialsChanged`, or `ScopeInvalid`, which is audited (S-149)."""
    new_hash = _rehash_if_outdated(issuer, user, request.password)
    try:
        with issuer.database.transaction() as tx:
            current = repository.find_by_id(tx, user.id, lock=True)
            if current is None or replace(current, epoch=0) != replace(user, epoch=0):
                raise login_throttling.CredentialsChanged
            if new_hash:
                tx.get_one(User, user.id).password_hash = new_hash
            login_throttling.record_success(issuer, tx, attempt)
            return create_session(issuer, tx, current, request)
    except ScopeInvalid as error:
        with issuer.database.transaction() as tx:
            issuer.audit.record(tx, "authn_login_fail", user_id=user.id, why=error.code)
        raise


def _rehash_if_outdated(issuer: Issuer, user: IssuerUser, password: str) -> str | None:
    """Return a new hash if the stored one has outdated parameters, else None (S-047)."""
    if not issuer.password_service.needs_rehash(user.password_hash):
        return None
    try:
        return issuer.password_service.hash(password)
    except Busy:
        return None  # the next sign-in tries again


def create_session(
    issuer: Issuer, tx: Session, user: IssuerUser, request: LoginRequest
) -> tuple[AnyRow, GrantDetails]:
    """Create a session for an authenticated user, with a new id, never one of the client's (S-069).

    The tokens are minted from the returned values, after the transaction.
    """
    now, global_epochs = issuer.clock(), load_global_epochs(tx)  # before the scopes
    user_scopes = repository.load_scopes(tx, user.id, issuer.known_scopes())
    scopes = restrict_scopes(user, narrow_scopes(user_scopes, request.scope))
    sid = new_id()
    tx.add(_session_row(issuer, sid, user, request, now=now, epoch=global_epochs.sessions))
    tx.flush()
    _enforce_session_limit(issuer, tx, user.id, now)
    issuer.audit.record(tx, "authn_login_success", user_id=user.id, session_id=sid)
    session = find_session(tx, sid)
    assert session is not None  # noqa: S101 - it was written above
    epoch = max(user.epoch, global_epochs.tokens)
    return session, GrantDetails(scopes, unix_seconds(now), epoch, fresh=True)


def _session_row(  # noqa: PLR0913 - all of them are columns of the row
    issuer: Issuer, sid: str, user: IssuerUser, request: LoginRequest, *, now: datetime, epoch: int
) -> AuthSession:
    return AuthSession(
        id=sid,
        user_id=user.id,
        delivery=request.delivery,
        scope=request.scope,
        amr="pwd",
        auth_time=unix_seconds(now),
        epoch=epoch,
        device=_device_name(request.device)
        or _device_name(request_context().user_agent)
        or "unknown device",
        address=request_context().address[:64],
        created_at=now,
        rotated_at=now,
        used_before=now,
        checkpoint_at=now,
        expires_at=now + issuer.settings.session_max_age,
    )


def _device_name(text: str | None) -> str:
    """Return the name of a device for lists, or the empty string if nothing of it is visible."""
    return (text or "").strip()[:120]


def _enforce_session_limit(issuer: Issuer, tx: Session, user_id: str, now: datetime) -> None:
    """End the oldest live sessions above the limit (S-124); the lock on the user prevents races."""
    idle_since = now - issuer.settings.session_max_idle
    too_many = (
        select(AuthSession.id)
        .where(AuthSession.user_id == user_id, AuthSession.ended_at.is_(None))
        .where(AuthSession.expires_at > now, AuthSession.rotated_at > idle_since)
        .order_by(AuthSession.created_at.desc(), AuthSession.id.desc())
        .offset(issuer.settings.session_limit)
    )
    sids = sorted(tx.scalars(too_many).all())
    ended = [sid for sid in sids if end_session(tx, sid, now=now, reason="session limit")]
    for sid in ended:  # rows before the feed: one lock order everywhere, no deadlock
        issuer.revocation_feed.revoke(tx, session_target(sid))
        issuer.audit.record(tx, "session_limit", user_id=user_id, session_id=sid)
