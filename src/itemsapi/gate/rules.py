"""Rules: what a route demands. Pure: a rule looks at claims and says yes or raises why not."""

from dataclasses import dataclass
from typing import Literal

from itemsapi.problems import PasswordChangeRequired, ScopeMissing, TokenMissing
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.scopes import PASSWORD_CHANGE, Scope

RuleKind = Literal["public", "signed in", "scopes", "refresh token", "refresh token or signed in"]
WITHOUT_CLAIMS = frozenset({"public", "refresh token", "refresh token or signed in"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What one route and method demands; the same object is enforced and documented.

    `why` tells why a public route may be public. `scopes` must all be there. `limited` says whether
    requests are counted against the rate limit. `before_password_change`: it opens to who signed in
    with a one-time password too; nothing else does (S-119).
    """

    kind: RuleKind
    scopes: tuple[Scope | str, ...] = ()
    reason: str = ""
    limited: bool = True
    before_password_change: bool = False

    @property
    def scope_names(self) -> frozenset[str]:
        """The names of the scopes demanded."""
        return frozenset(str(scope) for scope in self.scopes)

    @property
    def accepts_access_token(self) -> bool:
        """Tell whether an access token is what opens this route."""
        return self.kind in {"signed in", "scopes"}

    @property
    def accepts_refresh_token(self) -> bool:
        """Tell whether a refresh token opens this route."""
        return self.kind.startswith("refresh token")

    def check(self, claims: Claims | None) -> None:
        """Let the claims in.

        Raises `TokenMissing`, `PasswordChangeRequired` or `ScopeMissing`.
        """
        if claims is None:
            if self.kind not in WITHOUT_CLAIMS:  # a kind that nobody knows lets nobody in
                raise TokenMissing
            return
        if PASSWORD_CHANGE.name in claims.scopes and not self.before_password_change:
            raise PasswordChangeRequired
        if not self.scope_names <= claims.scopes:
            raise ScopeMissing(*self.scope_names)

    def __str__(self) -> str:
        """Return the rule in words, as the matrix prints it."""
        words = " ".join(sorted(self.scope_names)) if self.kind == "scopes" else self.kind
        words += ", before a password change too" * self.before_password_change
        return words if self.limited else f"{words}, never limited"
