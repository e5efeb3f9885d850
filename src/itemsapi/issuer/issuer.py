"""The desk: everything that a flow needs, in one record."""

from collections.abc import Callable
from dataclasses import dataclass

from itemsapi.accounts.passwords import PasswordService
from itemsapi.audit import Audit
from itemsapi.clock import Clock
from itemsapi.db import Database
from itemsapi.rate_limits import AttemptLimiter
from itemsapi.settings import Settings
from itemsapi.tokens.jwt import TokenCodec
from itemsapi.tokens.revocation import RevocationFeed
from itemsapi.tokens.sessions import RotationLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """What the flows work with; `known_scopes` are those of the application and its pages."""

    settings: Settings
    database: Database
    clock: Clock
    password_service: PasswordService
    token_codec: TokenCodec
    revocation_feed: RevocationFeed
    attempt_limiter: AttemptLimiter
    audit: Audit
    known_scopes: Callable[[], frozenset[str]]

    @property
    def limits(self) -> RotationLimits:
        """How long a session lives unrefreshed, and how forgiving rotation is, by the settings."""
        return RotationLimits(
            idle=self.settings.session_max_idle,
            grace=self.settings.refresh_grace,
            heal=self.settings.refresh_heal,
        )
