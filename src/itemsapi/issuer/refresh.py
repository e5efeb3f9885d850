"""Refresh: a refresh token becomes its successor and a new access token.

A refresh token is handed out once: to whoever presents the good one first, and again only to the
very same attempt. Who loses a race gets an access token alone, an older token waits while the
window is open, a lost answer heals. Anything else is a copied token: the session ends, and the
refusal is raised after that has been committed (docs/adr/0003).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.clock import stamp
from itemsapi.db import AnyRow
from itemsapi.issuer.grants import (
    Grant,
    GrantDetails,
    grant,
    grant_access_alone,
    granted_to,
    narrowed,
    restricted,
)
from itemsapi.issuer.issuer import Issuer
from itemsapi.problems import Problem, RefreshInvalid, RefreshReused, RefreshSuperseded
from itemsapi.tokens.jwt import RefreshClaims
from itemsapi.tokens.revocation import everybodys_epochs, generation_target, session_target
from itemsapi.tokens.sessions import (
    PresentedToken,
    Rotation,
    RotationOutcome,
    attempt_hash,
    end,
    find,
    rotate,
)

EVENTS = {
    RotationOutcome.AGAIN: "token_refresh_again",
    RotationOutcome.ACCESS: "token_refresh_access",
    RotationOutcome.WAIT: "token_refresh_wait",
    RotationOutcome.HEAL: "token_refresh_healed",
    RotationOutcome.VOID: "token_refresh_void",
    RotationOutcome.LATE: "token_reuse",
    RotationOutcome.OLDER: "token_reuse",
    RotationOutcome.UNISSUED: "token_reuse",
}
REFUSALS: Mapping[RotationOutcome, type[RefreshInvalid | RefreshSuperseded]] = {
    RotationOutcome.WAIT: RefreshSuperseded,
    RotationOutcome.VOID: RefreshInvalid,
}
NEW_TOKENS = frozenset({RotationOutcome.ROTATE, RotationOutcome.AGAIN, RotationOutcome.HEAL})


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """How a refresh token is presented.

    `delivery` is how it arrived; a session's way is fixed at sign-in. `scope` narrows the access
    token. `attempt_id` is the same each time the client tries the same refresh again.
    """

    delivery: str
    scope: str | None = None
    attempt_id: str | None = None


def refresh(issuer: Issuer, token: str, request: RefreshRequest) -> Grant:
    """Rotate a refresh token.

    Raises `RefreshInvalid`, `RefreshReused`, `RefreshSuperseded` and `DatabaseUnavailable` (the
    same token may be tried again), `ScopeInvalid`.
    """
    claims = issuer.token_codec.read_refresh(token)
    with issuer.database.transaction() as tx:
        outcome = _refreshed(issuer, tx, claims, request)
    if isinstance(outcome, Problem):
        raise outcome
    return outcome()


def _refreshed(
    issuer: Issuer, tx: Session, claims: RefreshClaims, request: RefreshRequest
) -> Callable[[], Grant] | Problem:
    """Do the whole refresh in one transaction; a refusal that must be committed is returned.

    Tokens are minted afterwards: if that fails, the same refresh token may be tried again.
    """
    now = issuer.clock()
    terms = _terms(issuer, tx, claims, request)
    if terms is None:
        return RefreshInvalid()
    shown = PresentedToken(claims.gen, attempt_hash(claims.sid, request.attempt_id), now)
    rotation = rotate(tx, claims.sid, shown, issuer.limits)
    session, outcome = rotation.session, rotation.outcome
    if session is None or outcome is RotationOutcome.ENDED:
        return RefreshInvalid()
    _take_back(issuer, tx, session, rotation)
    _record(issuer, tx, claims, outcome)
    if outcome in NEW_TOKENS:
        return lambda: grant(issuer, session, terms)
    if outcome is RotationOutcome.ACCESS:
        return lambda: grant_access_alone(issuer, session, terms, claims.gen)
    return REFUSALS.get(outcome, RefreshReused)()


def _terms(
    issuer: Issuer, tx: Session, claims: RefreshClaims, request: RefreshRequest
) -> GrantDetails | None:
    """Find out what the session may be given, before anything is rotated.

    The user is held: whoever changes their roles comes before this transaction or after it.
    """
    issued_at = stamp(issuer.clock())
    user = repository.find_by_id(tx, claims.sub, lock=True)
    session, everybody = find(tx, claims.sid), everybodys_epochs(tx)
    if session is None or user is None or not user.enabled:
        return None
    if session.user_id != user.id or session.delivery != request.delivery:
        return None
    if session.epoch < everybody.sessions:
        return None
    have = repository.scopes_of(tx, user.id, issuer.known_scopes())
    if user.password_expired(issuer.clock()):
        return None
    wanted = None if user.must_change_password else request.scope
    scopes = restricted(user, narrowed(granted_to(have, session), wanted))
    return GrantDetails(scopes, issued_at, max(user.epoch, everybody.tokens), fresh=False)


def _take_back(issuer: Issuer, tx: Session, session: AnyRow, rotation: Rotation) -> None:
    """Revoke what the outcome leaves behind: a superseded generation, or the whole session."""
    if rotation.outcome is RotationOutcome.HEAL:
        issuer.revocation_feed.revoke(tx, generation_target(session.id, session.gen - 1))
    elif rotation.outcome.copied:
        end(tx, session.id, now=issuer.clock(), why="refresh reused")
        issuer.revocation_feed.revoke(tx, session_target(session.id))


def _record(issuer: Issuer, tx: Session, claims: RefreshClaims, outcome: RotationOutcome) -> None:
    """Note what is worth telling, with the cause (S-062, S-149)."""
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
