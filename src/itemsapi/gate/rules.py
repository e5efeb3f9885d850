"""Rules: what a route requires of a request. Pure functions of the claims."""

from dataclasses import dataclass, field
from typing import Literal

from itemsapi.problems import PasswordChangeRequired, ScopeMissing, TokenMissing
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.scopes import PASSWORD_CHANGE, Scope

RuleKind = Literal["public", "signed in", "scopes", "refresh token", "refresh token or signed in"]
WITHOUT_CLAIMS = frozenset({"public", "refresh token", "refresh token or signed in"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What one route and method requires; the same object is enforced and documented.

    `scopes`: all of them are required, `scope_names` are their names. `reason`: why a public route
    may be public. `limited`: whether the rate limit applies. `before_password_change`: whether a
    token is accepted that permits only a change of password (S-119).
    """

    kind: RuleKind
    scopes: tuple[Scope | str, ...] = ()
    reason: str = ""
    limited: bool = True
    before_password_change: bool = False
    scope_names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Collect the names once: every request compares them."""
        object.__setattr__(self, "scope_names", frozenset(map(str, self.scopes)))

    @property
    def accepts_access_token(self) -> bool:
        """Return whether this route requires an access token."""
        return self.kind in {"signed in", "scopes"}

    @property
    def accepts_refresh_token(self) -> bool:
        """Return whether a refresh token is a credential for this route."""
        return self.kind.startswith("refresh token")

    def check(self, claims: Claims | None) -> None:
        """Check the claims of the access token; None if the request has none.

        Raise `TokenMissing`, `PasswordChangeRequired` or `ScopeMissing`.
        """
        if claims is None:
            if self.kind not in WITHOUT_CLAIMS:  # an unknown kind requires claims too
                raise TokenMissing
            return
        if PASSWORD_CHANGE.name in claims.scopes and not self.before_password_change:
            raise PasswordChangeRequired
        if not self.scope_names <= claims.scopes:
            raise ScopeMissing(*self.scope_names)

    def __str__(self) -> str:
        """Return the rule as the access matrix shows it."""
        text = " ".join(sorted(self.scope_names)) if self.kind == "scopes" else self.kind
        text += ", before a password change too" * self.before_password_change
        return text if self.limited else f"{text}, never limited"
