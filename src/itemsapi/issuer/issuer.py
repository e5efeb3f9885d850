"""The issuer: the services that every use case needs, and the tokens that it returns."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from itemsapi.accounts.passwords import PasswordService
from itemsapi.accounts.users import UserAccount
from itemsapi.attempt_limits import AttemptLimiter
from itemsapi.audit import Audit
from itemsapi.clock import Clock, unix_seconds
from itemsapi.db import AnyRow, Database
from itemsapi.issuer.additional_claims import AdditionalClaims, LoadedClaims
from itemsapi.issuer.user_source import UserSource
from itemsapi.problems import ClaimsUnavailable, ScopeInvalid
from itemsapi.settings import Settings
from itemsapi.tokens.revocation import RevocationFeed
from itemsapi.tokens.rotation import RotationLimits
from itemsapi.tokens.scopes import (
    MAX_SCOPE_LENGTH,
    PASSWORD_CHANGE,
    ScopeRegistry,
    format_scopes,
    parse_scopes,
)

if TYPE_CHECKING:
    from itemsapi.tokens.jwt import TokenCodec


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """The services that the use cases of this package need."""

    settings: Settings
    database: Database
    clock: Clock
    users: UserSource
    password_service: PasswordService
    load_token_codec: "Callable[[], TokenCodec]"  # returns the same one each time
    revocation_feed: RevocationFeed
    attempt_limiter: AttemptLimiter
    audit: Audit
    scope_registry: ScopeRegistry
    additional_claims: AdditionalClaims = field(default_factory=AdditionalClaims)

    @property
    def token_codec(self) -> "TokenCodec":
        """The codec of the tokens; commands that issue none never load it."""
        return self.load_token_codec()

    def known_scopes(self) -> frozenset[str]:
        """Return the names of all scopes of the application and its blueprints."""
        return self.scope_registry.names

    @property
    def limits(self) -> RotationLimits:
        """The limits of sessions and of token rotation, from the settings."""
        return RotationLimits(
            max_idle=self.settings.session_max_idle,
            grace=self.settings.refresh_grace,
            heal=self.settings.refresh_heal,
        )


# Grants: the tokens that the issuer returns. This is the only place that mints tokens.


@dataclass(frozen=True, slots=True)
class Grant:
    """An access token with its lifetime in seconds, and the refresh token of the same generation.

    `refresh_token` is None if the client keeps its own. `session_ends` limits the lifetime of a
    cookie with the refresh token. `repr` contains neither token, so that none gets into a log.
    """

    access_token: str = field(repr=False)
    expires_in: int
    scope: str
    session_id: str
    user_id: str
    username: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    delivery: str
    session_ends: datetime
    token_type: str = "Bearer"  # noqa: S105 - a name of RFC 6750


@dataclass(frozen=True, slots=True)
class GrantDetails:
    """What a grant contains: the name of its user, and what is in its tokens.

    `issued_at` is when the scopes were read, in seconds since 1970. If it were the time of minting,
    a process that was suspended in between could issue a token that outlives its revocation in the
    feed. `epoch` was read before the scopes (docs/adr/0004).
    """

    username: str = field(repr=False)
    scopes: frozenset[str]
    issued_at: int
    epoch: int
    fresh: bool
    claims: LoadedClaims = field(default_factory=LoadedClaims)

    def __post_init__(self) -> None:
        """Raise `ClaimsUnavailable` for more scopes than a token can have, before any change."""
        length = len(format_scopes(self.scopes))
        if length > MAX_SCOPE_LENGTH:
            cause = f"user: the scopes have {length} characters; a token has {MAX_SCOPE_LENGTH}"
            raise ClaimsUnavailable(cause=cause)

    def with_claims(self, claims: LoadedClaims) -> "GrantDetails":
        """Return these details with the claims of the application, and no later epoch than they."""
        epoch = self.epoch if claims.epoch is None else min(self.epoch, claims.epoch)
        return replace(self, claims=claims, epoch=epoch)


def grant_tokens(issuer: Issuer, session: AnyRow, details: GrantDetails) -> Grant:
    """Mint the tokens of a session's current generation; its refresh token is always the same."""
    expires_at = min(session.rotated_at + issuer.settings.session_max_idle, session.expires_at)
    refresh = issuer.token_codec.create_refresh_token(
        sub=session.user_id,
        sid=session.id,
        gen=session.gen,
        issued_at=session.rotated_at,
        expires_at=expires_at,
    )
    return _grant(issuer, session, details, session.gen, refresh)


def grant_access_token(issuer: Issuer, session: AnyRow, details: GrantDetails, gen: int) -> Grant:
    """Mint an access token of generation `gen`; the client keeps its refresh token."""
    return _grant(issuer, session, details, gen, None)


def _grant(
    issuer: Issuer, session: AnyRow, details: GrantDetails, gen: int, refresh: str | None
) -> Grant:
    access, lifetime = issuer.token_codec.create_access_token(
        sub=session.user_id,
        sid=session.id,
        gen=gen,
        epoch=details.epoch,
        scopes=details.scopes,
        auth_time=session.auth_time,
        amr=tuple(session.amr.split()),
        iat=details.issued_at,
        not_after=unix_seconds(session.expires_at),
        fresh=details.fresh,
        additional=details.claims.claims,
    )
    return Grant(
        access,
        lifetime,
        format_scopes(details.scopes),
        session.id,
        session.user_id,
        details.username,
        refresh,
        session.delivery,
        session.expires_at,
    )


def narrow_scopes(available: frozenset[str], requested: str | None) -> frozenset[str]:
    """Return the requested scopes, or all available ones if `requested` is None.

    Raise `ScopeInvalid` if a requested scope is not available (RFC 6749 section 6).
    """
    if requested is None:
        return available
    try:
        names = parse_scopes(requested)
    except ValueError:
        raise ScopeInvalid from None
    if not names <= available:
        raise ScopeInvalid
    return names


def restrict_scopes(user: UserAccount, scopes: frozenset[str]) -> frozenset[str]:
    """Return `scopes`, or only that of a password change if the user must change it (S-119)."""
    return frozenset({PASSWORD_CHANGE.name}) if user.must_change_password else scopes


def session_scopes(user_scopes: frozenset[str], session: AnyRow) -> frozenset[str]:
    """Return the scopes requested at sign-in that the user still has; all if none was requested."""
    requested = frozenset(session.scope.split(" ")) if session.scope else user_scopes
    return user_scopes & requested
