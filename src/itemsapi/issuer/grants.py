"""Grants: what the issuer hands over. The only place that mints tokens."""

from dataclasses import dataclass, field
from datetime import datetime

from itemsapi.accounts.repository import IssuerUser
from itemsapi.clock import stamp
from itemsapi.db import AnyRow
from itemsapi.issuer.issuer import Issuer
from itemsapi.problems import ScopeInvalid
from itemsapi.tokens.scopes import PASSWORD_CHANGE, join, split


@dataclass(frozen=True, slots=True)
class Grant:
    """An access token with its life in seconds, and the refresh token of the same generation.

    `refresh_token` is None where the client keeps the one it has. `session_ends` tells how long a
    cookie may carry the refresh token. Neither token shows in `repr`, so neither can end up in a
    log.
    """

    access_token: str = field(repr=False)
    expires_in: int
    scope: str
    session_id: str
    refresh_token: str | None = field(repr=False)
    delivery: str
    session_ends: datetime
    token_type: str = "Bearer"  # noqa: S105 - a name of RFC 6750


@dataclass(frozen=True, slots=True)
class GrantDetails:
    """Under what terms tokens are minted.

    `issued_at` is when their scopes were read, in seconds since 1970. If it were the time of
    minting, a process that stood still in between could issue a token that outlives its revocation
    in the feed. `epoch` was read before the scopes (docs/adr/0004).
    """

    scopes: frozenset[str]
    issued_at: int
    epoch: int
    fresh: bool


def grant(issuer: Issuer, session: AnyRow, terms: GrantDetails) -> Grant:
    """Mint the tokens of a session's generation: the refresh token is the same at each call."""
    ends = min(session.rotated_at + issuer.settings.session_max_idle, session.expires_at)
    refresh = issuer.token_codec.refresh_token(
        sub=session.user_id, sid=session.id, gen=session.gen, made=session.rotated_at, ends=ends
    )
    return _grant(issuer, session, terms, session.gen, refresh)


def grant_access_alone(issuer: Issuer, session: AnyRow, terms: GrantDetails, gen: int) -> Grant:
    """Mint an access token of generation `gen`; the client keeps its refresh token."""
    return _grant(issuer, session, terms, gen, None)


def _grant(
    issuer: Issuer, session: AnyRow, terms: GrantDetails, gen: int, refresh: str | None
) -> Grant:
    access, life = issuer.token_codec.access_token(
        sub=session.user_id,
        sid=session.id,
        gen=gen,
        epoch=terms.epoch,
        scopes=terms.scopes,
        auth_time=session.auth_time,
        amr=tuple(session.amr.split()),
        iat=terms.issued_at,
        latest=stamp(session.expires_at),
        fresh=terms.fresh,
    )
    return Grant(
        access, life, join(terms.scopes), session.id, refresh, session.delivery, session.expires_at
    )


def narrowed(have: frozenset[str], wanted: str | None) -> frozenset[str]:
    """Return the scopes asked for, all of `have` if none were; never more (RFC 6749 section 6).

    Raises `ScopeInvalid`.
    """
    if wanted is None:
        return have
    try:
        names = split(wanted)
    except ValueError:
        raise ScopeInvalid from None
    if not names <= have:
        raise ScopeInvalid
    return names


def restricted(user: IssuerUser, scopes: frozenset[str]) -> frozenset[str]:
    """Return the scopes of a user, or the one alone of who must set another password (S-119)."""
    return frozenset({PASSWORD_CHANGE.name}) if user.must_change_password else scopes


def granted_to(have: frozenset[str], session: AnyRow) -> frozenset[str]:
    """Return what a session may have of the scopes that its user has now.

    Of those asked for at sign-in some may have been taken away since.
    """
    asked = frozenset(session.scope.split(" ")) if session.scope else have
    return have & asked
