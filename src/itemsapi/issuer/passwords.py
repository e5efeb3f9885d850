"""Password change: a user sets a new password after proving the current one (S-042)."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from itemsapi.accounts.password_policy import validate_password
from itemsapi.accounts.passwords import normalize_password
from itemsapi.accounts.users import UserAccount
from itemsapi.clock import unix_seconds
from itemsapi.db import AnyRow
from itemsapi.issuer import login_throttling
from itemsapi.issuer.additional_claims import LoadedClaims
from itemsapi.issuer.issuer import Grant, GrantDetails, Issuer, grant_tokens, session_scopes
from itemsapi.issuer.sessions import end_user_sessions_in, revoke_access_tokens
from itemsapi.issuer.user_source import CredentialsChanged, UserTransaction
from itemsapi.problems import BadRequest, Busy, Forbidden, NotFound, TokenInvalid, ValidationFailed
from itemsapi.tokens.revocation import load_global_epochs
from itemsapi.tokens.rotation import renew_session
from itemsapi.tokens.sessions import find_session, lock_open_sessions

CHANGE_FAILED: Final = "authn_password_change_fail"


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """The parameters of a password change; `session_id` is the session of the request.

    `delivery` is how the new refresh token is returned; it must be that of the session.
    """

    user_id: str
    session_id: str
    current: str = field(repr=False)
    new: str = field(repr=False)
    end_others: bool = True
    delivery: str = "body"


def change_password(issuer: Issuer, change: PasswordChange) -> Grant:
    """Change the password, renew the session, and end the others if `end_others` (S-126).

    All earlier access tokens of the user and refresh tokens of the session are revoked. Raise
    `ValidationFailed` if the current password is wrong or the new one not acceptable, `BadRequest`
    if the delivery is not that of the session, `TooManyRequests` (wrong passwords count as at
    sign-in, S-045), `Busy`, `TokenInvalid` if the session ended or the user was disabled
    meanwhile, and `Forbidden` if the users are those of an application that keeps its hashes.
    """
    if issuer.users.read_only:
        raise Forbidden("The password of this user is changed in the application, not here.")
    user = issuer.users.find_by_id(change.user_id)
    with issuer.database.reading() as connection:
        session = find_session(connection, change.session_id)
    if user is None:
        raise NotFound
    _require_delivery(session, change.delivery)
    minimum = issuer.settings.password_min_length
    validate_password(change.new, username=user.username, minimum=minimum, field="new_password")
    is_same = normalize_password(change.new) == normalize_password(change.current)
    if user.must_change_password and is_same:
        raise ValidationFailed.at("new_password", "Choose a password other than the temporary one.")
    with login_throttling.login_attempt(issuer, user.username) as attempt:
        session_and_details = _verify_and_change(issuer, change, attempt)
    return grant_tokens(issuer, *session_and_details)


def _verify_and_change(
    issuer: Issuer, change: PasswordChange, attempt: login_throttling.LoginAttempt
) -> tuple[AnyRow, GrantDetails]:
    """Verify the current password, again if the stored one changed meanwhile, and replace it."""
    new_hash = None
    for _ in range(login_throttling.MAX_VERIFICATIONS):
        user = issuer.users.find_by_id(change.user_id)
        if user is None or not user.enabled:
            raise TokenInvalid
        is_correct = login_throttling.password_matches(issuer, attempt, change.current, user)
        if not is_correct or user.password_expired(issuer.clock()):
            why, problem = "wrong password", _current_password_wrong()
            raise login_throttling.record_failure(
                issuer, attempt, user, CHANGE_FAILED, why=why, problem=problem
            )
        new_hash = new_hash or issuer.password_service.hash(change.new)
        with suppress(CredentialsChanged):
            claims = issuer.additional_claims.load(issuer.database, user.id)
            return _store_password(issuer, change, user, new_hash, attempt, claims=claims)
    raise Busy


def _require_delivery(session: AnyRow | None, delivery: str) -> None:
    """Raise `BadRequest` if the requested delivery is not that of the session."""
    if session is not None and session.delivery != delivery:
        raise BadRequest(
            "The refresh token of this session is in the cookie: send `X-Auth-Delivery: cookie`"
            " with credentials."
            if session.delivery == "cookie"
            else "The refresh token of this session is in the body: leave `X-Auth-Delivery` out."
        )


def _store_password(  # noqa: PLR0913 - what the transaction checks and stores
    issuer: Issuer,
    change: PasswordChange,
    user: UserAccount,
    new_hash: str,
    attempt: login_throttling.LoginAttempt,
    *,
    claims: LoadedClaims,
) -> tuple[AnyRow, GrantDetails]:
    with issuer.users.changing_password(user, new_hash) as current:
        if current.user is None or not current.user.enabled:
            raise TokenInvalid
        login_throttling.record_success(issuer, current.tx, attempt, user.id)
        ids = {"user_id": user.id, "session_id": change.session_id, "caller_id": user.id}
        issuer.audit.record(current.tx, "authn_password_change", **ids, by="user")
        # The operator who made a temporary password knew it and may have signed in with it.
        end_others = change.end_others or user.must_change_password
        session, details = _renew_session(
            issuer, current, current.user, change, end_others=end_others
        )
        # The change itself revokes the user's tokens: only an earlier revocation makes claims old.
        if claims.are_older_than(max(current.epoch, load_global_epochs(current.tx).tokens)):
            return session, details.with_claims(claims)
        return session, replace(details, claims=claims)


def _renew_session(
    issuer: Issuer,
    current: UserTransaction,
    user: UserAccount,
    change: PasswordChange,
    *,
    end_others: bool,
) -> tuple[AnyRow, GrantDetails]:
    """Renew the session, end the others if `end_others`, and revoke the user's access tokens."""
    tx, now, user_id = current.tx, issuer.clock(), user.id
    lock_open_sessions(tx, user_id)
    idle = issuer.limits.max_idle
    session = renew_session(
        tx, change.session_id, now=now, max_idle=idle, auth_time=unix_seconds(now)
    )
    if session is None or session.user_id != user_id:
        raise TokenInvalid
    if end_others:
        kept = change.session_id
        end_user_sessions_in(
            issuer, tx, user_id, keep=kept, why="password changed", caller_id=user_id
        )
    epoch = revoke_access_tokens(issuer, tx, user_id)
    # The feed is locked from here on, so the new epoch cannot hide a mass revocation.
    if session.epoch < load_global_epochs(tx).sessions:
        raise TokenInvalid
    scopes = session_scopes(current.scopes, session)
    return session, GrantDetails(user.username, scopes, unix_seconds(now), epoch, fresh=True)


def _current_password_wrong() -> ValidationFailed:
    return ValidationFailed.at("current_password", "This is not your current password.")
