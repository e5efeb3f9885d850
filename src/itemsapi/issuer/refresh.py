"""Refresh: exchange a refresh token for its successor and a new access token.

Each refresh token is issued once: to the first request with the current token, and again only to a
repetition of the same attempt. A request that loses a race gets only an access token. An older
token has to retry during the grace period. A lost response heals: the client gets a new successor,
and the lost one is revoked. Anything else is a copied token: the session ends, and the error is
raised after that has been committed (docs/adr/0003).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from itemsapi.accounts.users import UserAccount
from itemsapi.audit import EventName
from itemsapi.clock import unix_seconds
from itemsapi.db import AnyRow
from itemsapi.issuer.additional_claims import LoadedClaims
from itemsapi.issuer.issuer import (
    Grant,
    GrantDetails,
    Issuer,
    grant_access_token,
    grant_tokens,
    narrow_scopes,
    restrict_scopes,
    session_scopes,
)
from itemsapi.issuer.user_changes import end_missing_user_in
from itemsapi.issuer.user_source import UserTransaction
from itemsapi.problems import Problem, RefreshInvalid, RefreshReused, RefreshSuperseded
from itemsapi.tokens.claims import RefreshClaims
from itemsapi.tokens.revocation import generation_target, session_target
from itemsapi.tokens.rotation import (
    PresentedToken,
    Rotation,
    RotationOutcome,
    attempt_hash,
    rotate,
)
from itemsapi.tokens.sessions import end_session, find_session

# `token_refresh_` and the outcome; `token_reuse` if the session ends.
EVENTS: Final[dict[RotationOutcome, EventName]] = {
    RotationOutcome.REPEAT: "token_refresh_repeat",
    RotationOutcome.ACCESS_ONLY: "token_refresh_access_only",
    RotationOutcome.RETRY_LATER: "token_refresh_retry_later",
    RotationOutcome.HEAL: "token_refresh_heal",
    RotationOutcome.INVALIDATED: "token_refresh_invalidated",
    RotationOutcome.PREDECESSOR_REUSED: "token_reuse",
    RotationOutcome.OLDER_REUSED: "token_reuse",
    RotationOutcome.NEVER_ISSUED: "token_reuse",
}
PROBLEMS: Mapping[RotationOutcome, type[RefreshInvalid | RefreshSuperseded]] = {
    RotationOutcome.RETRY_LATER: RefreshSuperseded,
    RotationOutcome.INVALIDATED: RefreshInvalid,
}
NEW_TOKENS = frozenset({RotationOutcome.ROTATE, RotationOutcome.REPEAT, RotationOutcome.HEAL})


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """The parameters of a refresh.

    `delivery` is how the token arrived; the delivery of a session is fixed at sign-in. `scope`
    narrows the access token. `attempt_id` is the same in each retry of one refresh.
    """

    delivery: str
    scope: str | None = None
    attempt_id: str | None = None


def refresh(issuer: Issuer, token: str, request: RefreshRequest) -> Grant:
    """Rotate a refresh token.

    Raise `RefreshInvalid`, `RefreshReused` or `ScopeInvalid`; raise `RefreshSuperseded`,
    `ClaimsUnavailable` or `DatabaseUnavailable` if the client may retry with the same token.
    """
    claims = issuer.token_codec.verify_refresh_token(token)
    loaded = _load_claims(issuer, claims)
    with issuer.users.transaction(claims.sub) as current:
        outcome = _refresh_session(issuer, current, claims, request, loaded)
    if isinstance(outcome, Problem):
        raise outcome
    return outcome()


def _load_claims(issuer: Issuer, claims: RefreshClaims) -> LoadedClaims:
    """Return the application's claims for a user who may refresh; for others none are needed."""
    if not issuer.additional_claims.is_registered:
        return LoadedClaims()
    with issuer.database.reading() as connection:
        session = find_session(connection, claims.sid)
    user = issuer.users.find_by_id(claims.sub)
    if session is None or session.ended_at is not None or user is None or not user.enabled:
        return LoadedClaims()
    return issuer.additional_claims.load(issuer.database, claims.sub)


def _refresh_session(
    issuer: Issuer,
    current: UserTransaction,
    claims: RefreshClaims,
    request: RefreshRequest,
    loaded: LoadedClaims,
) -> Callable[[], Grant] | Problem:
    """Rotate in one transaction.

    A problem whose changes must be committed is returned, not raised. Tokens are minted after the
    commit: if that fails, the client may retry with the same token.
    """
    tx, now = current.tx, issuer.clock()
    if current.is_missing:
        end_missing_user_in(issuer, tx, claims.sub)
    details = _load_details(issuer, current, claims, request)
    if details is None:
        return RefreshInvalid()
    details = details.with_claims(loaded)
    presented = PresentedToken(claims.gen, attempt_hash(claims.sid, request.attempt_id), now)
    rotation = rotate(tx, claims.sid, presented, issuer.limits)
    session, outcome = rotation.session, rotation.outcome
    if session is None or outcome is RotationOutcome.SESSION_ENDED:
        return RefreshInvalid()
    _revoke_superseded(issuer, tx, session, rotation)
    _record_event(issuer, tx, claims, outcome)
    if outcome in NEW_TOKENS:
        return lambda: grant_tokens(issuer, session, details)
    if outcome is RotationOutcome.ACCESS_ONLY:
        return lambda: grant_access_token(issuer, session, details, claims.gen)
    return PROBLEMS.get(outcome, RefreshReused)()


def _load_details(
    issuer: Issuer, current: UserTransaction, claims: RefreshClaims, request: RefreshRequest
) -> GrantDetails | None:
    """Load what the new tokens contain, before the rotation.

    Return None if no tokens may be issued. The user is locked: an operator's change of their roles
    commits before this transaction or after it.
    """
    user, session = current.user, find_session(current.tx, claims.sid)
    if session is None or user is None or not _may_continue(issuer, current, user):
        return None
    if session.user_id != user.id or session.delivery != request.delivery:
        return None
    if session.epoch < current.epochs.sessions:
        return None
    requested = None if user.must_change_password else request.scope
    available = session_scopes(current.scopes, session)
    scopes = restrict_scopes(user, narrow_scopes(available, requested))
    issued_at = unix_seconds(current.read_at)
    return GrantDetails(user.username, scopes, issued_at, current.epoch, fresh=False)


def _may_continue(issuer: Issuer, current: UserTransaction, user: UserAccount) -> bool:
    """Return whether the user is enabled and has the password that the sessions belong to."""
    if not user.enabled or user.password_expired(issuer.clock()):
        return False
    return current.knows_password


def _revoke_superseded(issuer: Issuer, tx: Session, session: AnyRow, rotation: Rotation) -> None:
    """Revoke the superseded generation after a healing, the whole session after a reuse."""
    if rotation.outcome is RotationOutcome.HEAL:
        issuer.revocation_feed.revoke(tx, generation_target(session.id, session.gen - 1))
    elif rotation.outcome.ends_session:
        end_session(tx, session.id, now=issuer.clock(), reason="refresh reused")
        issuer.revocation_feed.revoke(tx, session_target(session.id))


def _record_event(
    issuer: Issuer, tx: Session, claims: RefreshClaims, outcome: RotationOutcome
) -> None:
    """Record the audit event of the outcome, if it has one, with its cause (S-062, S-149)."""
    event = EVENTS.get(outcome)
    if event:
        issuer.audit.record(
            tx,
            event,
            user_id=claims.sub,
            session_id=claims.sid,
            gen=claims.gen,
            cause=outcome.value,
        )
