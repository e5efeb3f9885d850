"""Rules: what a route requires of a request. Pure functions of the caller."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from itemsapi.gate.object_check import ObjectCheck
from itemsapi.problems import (
    PasswordChangeRequired,
    ScopeMissing,
    StepUpRequired,
    TokenMissing,
)
from itemsapi.tokens.scopes import PASSWORD_CHANGE, Scope

RuleKind = Literal["public", "signed in", "scopes", "refresh token", "refresh token or signed in"]
WITHOUT_CALLER = frozenset({"public", "refresh token", "refresh token or signed in"})
ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of the credential that is always there
BY_ACCESS_TOKEN = frozenset({ACCESS_TOKEN})


class Authenticated(Protocol):
    """What a rule looks at: the scopes of a caller, and when they last signed in."""

    @property
    def scopes(self) -> frozenset[str]:
        """The names of the caller's scopes."""

    @property
    def auth_time(self) -> int | None:
        """When the user last proved who they are, in seconds since 1970; None for a machine."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one route and method requires; the same object is enforced and documented.

    `scopes`: all of them are required, `scope_names` are their names. `reason`: why a public route
    may be public. `limited`: whether the rate limit applies. `before_password_change`: whether a
    token is accepted that permits only a change of password (S-119). `by`: the names of the
    credentials that are accepted. `within_seconds`: how long ago the user may have signed
    in (RFC 9470); None for any time. `on`: the check of the object that the request is about.
    """

    kind: RuleKind
    scopes: tuple[Scope | str, ...] = ()
    reason: str = field(default="", compare=False)
    limited: bool = True
    before_password_change: bool = False
    by: frozenset[str] = BY_ACCESS_TOKEN
    within_seconds: int | None = None
    on: ObjectCheck | None = None
    scope_names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Collect the names once: every request compares them."""
        object.__setattr__(self, "scope_names", frozenset(map(str, self.scopes)))

    @property
    def needs_caller(self) -> bool:
        """Return whether this route requires a caller, whatever their credential."""
        return self.kind in {"signed in", "scopes"}

    @property
    def accepts_access_token(self) -> bool:
        """Return whether an access token is a credential for this route."""
        return self.needs_caller and ACCESS_TOKEN in self.by

    @property
    def accepts_refresh_token(self) -> bool:
        """Return whether a refresh token is a credential for this route."""
        return self.kind.startswith("refresh token")

    def check(self, caller: Authenticated | None) -> None:
        """Check the scopes of the caller; None if the request has no credential.

        Raise `TokenMissing`, `PasswordChangeRequired` or `ScopeMissing`.
        """
        if caller is None:
            if self.kind not in WITHOUT_CALLER:  # an unknown kind requires a caller too
                raise TokenMissing(self._credentials_to_send())
            return
        if PASSWORD_CHANGE.name in caller.scopes and not self.before_password_change:
            raise PasswordChangeRequired
        if not self.scope_names <= caller.scopes:
            raise ScopeMissing(*self.scope_names)

    def check_sign_in(self, caller: Authenticated | None, now: int) -> None:
        """Raise `StepUpRequired` unless the caller signed in at most `within_seconds` ago."""
        if self.within_seconds is None:
            return
        signed_in_at = None if caller is None else caller.auth_time
        if signed_in_at is None or now - signed_in_at > self.within_seconds:
            raise StepUpRequired(self.within_seconds)

    def _credentials_to_send(self) -> str | None:
        """Return the advice for a request without credential; None for the usual one."""
        if self.by == BY_ACCESS_TOKEN:
            return None
        return f"Send one credential of these kinds: {', '.join(sorted(self.by))}."

    def __str__(self) -> str:
        """Return the rule as the access matrix shows it."""
        text = " ".join(sorted(self.scope_names)) if self.kind == "scopes" else self.kind
        text += f", by {' or '.join(sorted(self.by))}" * (self.by != BY_ACCESS_TOKEN)
        text += (
            f", within {self.within_seconds} s of the sign-in"
            if self.within_seconds is not None
            else ""
        )
        text += f", on {self.on.name}" if self.on is not None else ""
        text += ", before a password change too" * self.before_password_change
        return text if self.limited else f"{text}, never limited"


def each_once(rules: Sequence[Rule]) -> list[Rule]:
    """Return rules, each object once; two equal rules are two, which are a fault."""
    return [rule for i, rule in enumerate(rules) if not any(rule is r for r in rules[:i])]
