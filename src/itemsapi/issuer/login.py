"""Login: exchange a user name and a password for a session and its first tokens.

Unknown users, disabled users and wrong passwords take the same time and get the same response
(S-184). `login_throttling` limits the attempts. No database connection is in use while Argon2 runs.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from itemsapi.accounts.user_state import set_password_digests
from itemsapi.accounts.users import UserAccount
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
from itemsapi.issuer.sessions import end_user_sessions_in
from itemsapi.issuer.user_source import CredentialsChanged, UserTransaction
from itemsapi.observability.context import request_context
from itemsapi.problems import Busy, CredentialsInvalid, ScopeInvalid
from itemsapi.tokens.revocation import session_target
from itemsapi.tokens.sessions import end_session, insert_session, sessions_beyond_limit


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
        user = issuer.users.find_by_name(request.username)
        is_correct = login_throttling.password_matches(issuer, attempt, request.password, user)
        has_expired = user is not None and user.password_expired(issuer.clock())
        if user is None or not is_correct or not user.enabled or has_expired:
            why = _failure_reason(user, is_correct=is_correct)
            raise login_throttling.record_failure(
                issuer, attempt, user, "authn_login_fail", why=why, problem=CredentialsInvalid()
            )
        with suppress(CredentialsChanged):
            claims = issuer.additional_claims.load(issuer.database, user.id)
            session, details = _open_session(issuer, request, user, attempt)
            return session, details.with_claims(claims)
    raise Busy


def _failure_reason(user: UserAccount | None, *, is_correct: bool) -> str:
    """Return the reason for the audit trail; the response must not contain it."""
    if user is None:
        return "unknown user"
    if not is_correct:
        return "wrong password"
    return "temporary password expired" if user.enabled else "disabled user"


def _open_session(
    issuer: Issuer, request: LoginRequest, user: UserAccount, attempt: login_throttling.LoginAttempt
) -> tuple[AnyRow, GrantDetails]:
    """Open the session. Raise `CredentialsChanged`, or `ScopeInvalid`, which is audited (S-149)."""
    new_hash = _rehash_if_outdated(issuer, user, request.password)
    try:
        with issuer.users.transaction(user.id, new_hash=new_hash) as change:
            if not user.is_same_except_name(change.user) or not change.is_current:
                raise CredentialsChanged
            login_throttling.record_success(issuer, change.tx, attempt, user.id)
            _remember_password(issuer, change, user, new_hash)
            return create_session(issuer, change, user, request)
    except ScopeInvalid as error:
        with issuer.database.transaction() as tx:
            issuer.audit.record(tx, "authn_login_fail", user_id=user.id, why=error.code)
        raise


def _remember_password(
    issuer: Issuer, change: UserTransaction, user: UserAccount, new_hash: str | None
) -> None:
    """Remember that the user's sessions belong to the current password.

    If the application stored another one since the last sign-in, end those of the previous one: a
    user who changes the password wants a thief out (S-126).
    """
    state = change.locked_state
    if not state.knows_password(user.password_hash):
        ids: dict[str, str | None] = {"keep": None, "caller_id": None}
        end_user_sessions_in(issuer, change.tx, user.id, why="password changed", **ids)
    digests = state.digests_after_sign_in(user.password_hash, new_hash)
    if digests != state.password_digests:
        set_password_digests(change.tx, user.id, digests)


def _rehash_if_outdated(issuer: Issuer, user: UserAccount, password: str) -> str | None:
    """Return a new hash if the stored one has outdated parameters, else None (S-047)."""
    stored, passwords = user.password_hash, issuer.password_service
    if issuer.users.read_only or not stored or not passwords.needs_rehash(stored, password):
        return None
    try:
        return passwords.hash(password)
    except Busy:
        return None  # the next sign-in tries again


def create_session(
    issuer: Issuer, change: UserTransaction, user: UserAccount, request: LoginRequest
) -> tuple[AnyRow, GrantDetails]:
    """Create a session for an authenticated user, with a new id, never one of the client's (S-069).

    The tokens are minted from the returned values, after the transaction.
    """
    tx, now = change.tx, change.read_at
    scopes = restrict_scopes(user, narrow_scopes(change.scopes, request.scope))
    session = insert_session(
        tx,
        id=new_id(),
        user_id=user.id,
        delivery=request.delivery,
        scope=request.scope,
        amr="pwd",
        auth_time=unix_seconds(now),
        epoch=change.epochs.sessions,
        device=_device_name(request.device),
        address=request_context().address[:64],
        **dict.fromkeys(("created_at", "rotated_at", "used_before", "checkpoint_at"), now),
        expires_at=now + issuer.settings.session_max_age,
    )
    _enforce_session_limit(issuer, tx, user.id, now)
    issuer.audit.record(tx, "authn_login_success", user_id=user.id, session_id=session.id)
    return session, GrantDetails(user.username, scopes, unix_seconds(now), change.epoch, fresh=True)


def _device_name(requested: str | None) -> str:
    """Return the name of a device for lists: the requested one, or what the client calls itself."""
    names = (requested, request_context().user_agent, "unknown device")
    return next(name for text in names if (name := (text or "").strip()[:120]))


def _enforce_session_limit(issuer: Issuer, tx: Session, user_id: str, now: datetime) -> None:
    """End the oldest live sessions above the limit (S-124); the lock on the user prevents races."""
    allowed, max_idle = issuer.settings.session_limit, issuer.settings.session_max_idle
    sids = sessions_beyond_limit(tx, user_id, allowed, now=now, max_idle=max_idle)
    ended = [sid for sid in sids if end_session(tx, sid, now=now, reason="session limit")]
    for sid in ended:  # rows before the feed: one lock order everywhere, no deadlock
        issuer.revocation_feed.revoke(tx, session_target(sid))
        issuer.audit.record(tx, "session_limit", user_id=user_id, session_id=sid)
