"""Password: a user changes their own, having proved the one they have (S-042)."""

from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.accounts.models import User
from itemsapi.accounts.password_policy import validate_password
from itemsapi.accounts.passwords import normalize_password
from itemsapi.accounts.repository import IssuerUser
from itemsapi.clock import stamp
from itemsapi.db import AnyRow
from itemsapi.issuer import login_throttling
from itemsapi.issuer.grants import Grant, GrantDetails, grant, granted_to
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.sessions import finish_all, recall_tokens
from itemsapi.problems import BadRequest, Busy, Invalid, NotFound, TokenInvalid
from itemsapi.tokens.revocation import everybodys_epochs
from itemsapi.tokens.sessions import find, lock_open_sessions, renew


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """What a user shows and wants; `session_id` is the session they ask from.

    `delivery` is how the new refresh token is answered: it must be that of the session.
    """

    user_id: str
    session_id: str
    current: str = field(repr=False)
    new: str = field(repr=False)
    end_others: bool = True
    delivery: str = "body"


def change_password(issuer: Issuer, change: PasswordChange) -> Grant:
    """Change the password, renew the session, and end the others unless told not to (S-126).

    All access tokens of the user from before are revoked, and all older refresh tokens of this
    session. Raises `Invalid` (the current password is wrong,
    or the new one no good), `BadRequest` (another delivery than the session's), `TooMany`:
    wrong tries count as those at sign-in do (S-045), `Busy`, and `TokenInvalid` if the session
    ended meanwhile, or its user was disabled.
    """
    with issuer.database.reading() as connection:
        holder = repository.find_by_id(connection, change.user_id)
        session = find(connection, change.session_id)
    if holder is None:
        raise NotFound
    _require_delivery(session, change.delivery)
    minimum = issuer.settings.password_min_length
    validate_password(change.new, username=holder.username, minimum=minimum, field="new_password")
    if holder.must_change_password and normalize_password(change.new) == normalize_password(
        change.current
    ):
        raise Invalid.at("new_password", "Choose another password than the one you were given.")
    with login_throttling.login_attempt(issuer, holder.username) as guess:
        changed = _judged(issuer, change, guess)
    return grant(issuer, *changed)


def _judged(
    issuer: Issuer, change: PasswordChange, guess: login_throttling.LoginAttempt
) -> tuple[AnyRow, GrantDetails]:
    """Look at the current password, again if what is stored has changed meanwhile."""
    stored = None
    for _ in range(login_throttling.MAX_VERIFICATIONS):
        with issuer.database.reading() as connection:
            holder = repository.find_by_id(connection, change.user_id)
        if holder is None or not holder.enabled:
            raise TokenInvalid
        right = login_throttling.matches(issuer, guess, change.current, holder)
        if not right or holder.password_expired(issuer.clock()):
            event, why = "authn_password_change_fail", "wrong password"
            raise login_throttling.fail(issuer, guess, holder, event, why=why, told=_wrong())
        stored = stored or issuer.password_service.hash(change.new)
        with suppress(login_throttling.CredentialsChanged):
            return _changed(issuer, change, holder, stored, guess)
    raise Busy


def _require_delivery(session: AnyRow | None, delivery: str) -> None:
    """Refuse a request that could not take the new refresh token: its session would be lost."""
    if session is not None and session.delivery != delivery:
        raise BadRequest(
            "The refresh token of this session is in the cookie: send `X-Auth-Delivery: cookie`"
            " with credentials."
            if session.delivery == "cookie"
            else "The refresh token of this session is in the body: leave `X-Auth-Delivery` out."
        )


def _changed(
    issuer: Issuer,
    change: PasswordChange,
    holder: IssuerUser,
    stored: str,
    guess: login_throttling.LoginAttempt,
) -> tuple[AnyRow, GrantDetails]:
    with issuer.database.transaction() as tx:
        current = repository.find_by_id(tx, holder.id, lock=True)
        if current is None or replace(current, epoch=0) != replace(holder, epoch=0):
            raise login_throttling.CredentialsChanged
        user = tx.get_one(User, holder.id)
        user.password_hash, user.updated_at = stored, issuer.clock()
        user.password_expires_at = None
        user.version += 1
        login_throttling.succeed(issuer, tx, guess)
        who = {"user_id": holder.id, "session_id": change.session_id, "actor_id": holder.id}
        issuer.audit.record(tx, "authn_password_change", **who, by="user")
        # Whoever made a one-time password knew it, and may have signed in with it before.
        return _renewed(
            issuer, tx, change, end_others=change.end_others or holder.must_change_password
        )


def _renewed(
    issuer: Issuer, tx: Session, change: PasswordChange, *, end_others: bool
) -> tuple[AnyRow, GrantDetails]:
    """Renew the session, end the others if wanted, and void every access token there is."""
    now, user_id = issuer.clock(), change.user_id
    lock_open_sessions(tx, user_id)
    idle = issuer.limits.idle
    session = renew(tx, change.session_id, now=now, idle=idle, auth_time=stamp(now))
    if session is None or session.user_id != user_id:
        raise TokenInvalid
    if end_others:
        kept = change.session_id
        finish_all(issuer, tx, user_id, keep=kept, why="password changed", actor=user_id)
    epoch = recall_tokens(issuer, tx, user_id)
    # From here on nobody else writes to the feed: the new epoch hides no mass revocation.
    if session.epoch < everybodys_epochs(tx).sessions:
        raise TokenInvalid
    scopes = granted_to(repository.scopes_of(tx, user_id, issuer.known_scopes()), session)
    return session, GrantDetails(scopes, stamp(now), epoch, fresh=True)


def _wrong() -> Invalid:
    return Invalid.at("current_password", "This is not your current password.")
