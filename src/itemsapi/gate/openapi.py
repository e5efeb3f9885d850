"""Describe access rules in the OpenAPI document, from the same objects that the gate enforces."""

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


def security_requirements(rule: Rule) -> list[Requirement]:
    """Return the `security` of an operation, with its scope names (allowed since OpenAPI 3.1).

    A public route has `[]`. A refresh token is sent in the body or in a cookie, which no scheme
    describes, so such a route has the empty requirement `{}` and its schema describes the token.
    """
    if rule.kind == "public":
        return []
    requirements: list[Requirement] = []
    if rule.accepts_access_token or rule.kind == "refresh token or signed in":
        requirements.append({BEARER: sorted(rule.scope_names)})
    if rule.accepts_refresh_token:
        requirements.append({})
    return requirements


def describe_rule(rule: Rule) -> str:
    """Return the rule as text, with the reason if the route is public."""
    return f"{rule}: {rule.reason}" if rule.kind == "public" else str(rule)


def problems_of_rule(rule: Rule) -> tuple[type[Problem], ...]:
    """Return the problems that the rule itself can cause."""
    problems: list[type[Problem]] = [TooManyRequests] if rule.limited else []
    if rule.accepts_access_token:
        problems += [TokenMissing, TokenInvalid, GateUnavailable]
        problems += [] if rule.before_password_change else [PasswordChangeRequired]
    if rule.scope_names:
        problems.append(ScopeMissing)
    if rule.accepts_refresh_token:
        problems += [RefreshInvalid, RefreshReused, CrossSite]
    return tuple(problems)


def security_schemes(
    rules: Iterable[Rule], extra: Iterable[Scope] = ()
) -> Mapping[str, dict[str, str]]:
    """Return the `securitySchemes`: one scheme, whose description lists all scopes."""
    rule_scopes = [scope for rule in rules for scope in rule.scopes if isinstance(scope, Scope)]
    known = {scope.name: scope.description for scope in (*BUILTIN_SCOPES, *extra, *rule_scopes)}
    lines = [f"- `{name}`: {meaning}" for name, meaning in sorted(known.items())]
    text = "The access token that `POST /auth/login` returns. Scopes:\n\n" + "\n".join(lines)
    return {
        BEARER: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": text}
    }
