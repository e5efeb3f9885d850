"""The issuer: the collaborators and settings that every use case needs, in one record."""

from dataclasses import dataclass

from itemsapi.accounts.passwords import PasswordService
from itemsapi.audit import Audit
from itemsapi.clock import Clock
from itemsapi.db import Database
from itemsapi.rate_limits import AttemptLimiter
from itemsapi.settings import Settings
from itemsapi.tokens.jwt import TokenCodec
from itemsapi.tokens.revocation import RevocationFeed
from itemsapi.tokens.scopes import ScopeRegistry
from itemsapi.tokens.sessions import RotationLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """What the use cases of this package work with."""

    settings: Settings
    database: Database
    clock: Clock
    password_service: PasswordService
    token_codec: TokenCodec
    revocation_feed: RevocationFeed
    attempt_limiter: AttemptLimiter
    audit: Audit
    scope_registry: ScopeRegistry

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
