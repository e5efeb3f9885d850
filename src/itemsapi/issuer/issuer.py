"""The desk: everything that a flow needs, in one record."""

from collections.abc import Callable
from dataclasses import dataclass

from itemsapi.accounts.passwords import Passwords
from itemsapi.audit import Audit
from itemsapi.clock import Clock
from itemsapi.db import Database
from itemsapi.rate_limits import Throttle
from itemsapi.settings import Settings
from itemsapi.tokens.jwt import Codec
from itemsapi.tokens.revocation import Feed
from itemsapi.tokens.sessions import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the flows work with; `known_scopes` are those of the application and its pages."""

    settings: Settings
    database: Database
    clock: Clock
    passwords: Passwords
    codec: Codec
    feed: Feed
    throttle: Throttle
    audit: Audit
    known_scopes: Callable[[], frozenset[str]]

    @property
    def limits(self) -> Limits:
        """How long a session lives unrefreshed, and how forgiving rotation is, by the settings."""
        return Limits(
            idle=self.settings.session_max_idle,
            grace=self.settings.refresh_grace,
            heal=self.settings.refresh_heal,
        )
