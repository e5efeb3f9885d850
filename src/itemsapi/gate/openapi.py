"""How a rule stands in the OpenAPI document: the same object that is enforced, never a copy."""

from collections.abc import Iterable, Mapping

from itemsapi.gate.rules import Rule
from itemsapi.problems import (
    CrossSite,
    GateUnavailable,
    PasswordChangeRequired,
    Problem,
    RefreshInvalid,
    RefreshReused,
    ScopeMissing,
    TokenInvalid,
    TokenMissing,
    TooManyRequests,
)
from itemsapi.tokens.scopes import BUILTIN_SCOPES, Scope

BEARER = "bearer"

Requirement = dict[str, list[str]]


def security(rule: Rule) -> list[Requirement]:
    """Return the `security` of an operation; scope names stand in it (legal since OpenAPI 3.1).

    Public is `[]`. A refresh token travels in the body or in a cookie, which no scheme describes,
    so such a route has the empty requirement `{}` and its schema says the rest.
    """
    if rule.kind == "public":
        return []
    found: list[Requirement] = []
    if rule.accepts_access_token or rule.kind == "refresh token or signed in":
        found.append({BEARER: sorted(rule.scope_names)})
    if rule.accepts_refresh_token:
        found.append({})
    return found


def in_words(rule: Rule) -> str:
    """Return the rule as people read it, with the reason why a public route is public."""
    return f"{rule}: {rule.reason}" if rule.kind == "public" else str(rule)


def refusals(rule: Rule) -> tuple[type[Problem], ...]:
    """Return the problems that follow from the rule alone."""
    found: list[type[Problem]] = [TooManyRequests] if rule.limited else []
    if rule.accepts_access_token:
        found += [TokenMissing, TokenInvalid, GateUnavailable]
        found += [] if rule.before_password_change else [PasswordChangeRequired]
    if rule.scope_names:
        found.append(ScopeMissing)
    if rule.accepts_refresh_token:
        found += [RefreshInvalid, RefreshReused, CrossSite]
    return tuple(found)


def schemes(rules: Iterable[Rule], extra: Iterable[Scope] = ()) -> Mapping[str, dict[str, str]]:
    """Return the `securitySchemes`: one, whose description lists every scope there is."""
    named = [scope for rule in rules for scope in rule.scopes if isinstance(scope, Scope)]
    known = {scope.name: scope.description for scope in (*BUILTIN_SCOPES, *extra, *named)}
    lines = [f"- `{name}`: {meaning}" for name, meaning in sorted(known.items())]
    says = "The access token that `POST /auth/login` gives. Scopes:\n\n" + "\n".join(lines)
    return {
        BEARER: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": says}
    }
