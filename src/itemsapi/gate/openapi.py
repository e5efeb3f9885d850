"""Describe access rules in the OpenAPI document, from the same objects that the gate enforces."""

from collections.abc import Iterable, Mapping
from typing import Any

from itemsapi.gate.api_keys import API_KEY
from itemsapi.gate.credentials import Credential
from itemsapi.gate.rules import ACCESS_TOKEN, BY_ACCESS_TOKEN, Rule
from itemsapi.problems import (
    ApiKeyInvalid,
    CredentialNotAccepted,
    CredentialsAmbiguous,
    CrossSite,
    GateUnavailable,
    NotFound,
    PasswordChangeRequired,
    Problem,
    RefreshInvalid,
    RefreshReused,
    ScopeMissing,
    SignatureInvalid,
    StepUpRequired,
    TokenInvalid,
    TokenMissing,
    TooManyRequests,
)
from itemsapi.tokens.scopes import Scope

BEARER = "bearer"

Requirement = dict[str, list[str]]


def security_requirements(rule: Rule) -> list[Requirement]:
    """Return the `security` of an operation, with its scope names (allowed since OpenAPI 3.1).

    A public route has `[]`, and each credential that a rule accepts is an alternative. A refresh
    token is sent in the body or in a cookie, which no scheme describes, so such a route has the
    empty requirement `{}` and its schema describes the token.
    """
    if rule.kind == "public":
        return []
    requirements: list[Requirement] = []
    if rule.needs_caller or rule.kind == "refresh token or signed in":
        names = [_scheme_name(credential) for credential in sorted(rule.by)]
        requirements += [{name: sorted(rule.scope_names)} for name in names]
    if rule.accepts_refresh_token:
        requirements.append({})
    return requirements


def describe_rule(rule: Rule) -> str:
    """Return the rule as text, with the reason if the route is public."""
    return f"{rule}: {rule.reason}" if rule.kind == "public" else str(rule)


def problems_of_rule(rule: Rule) -> tuple[type[Problem], ...]:
    """Return the problems that the rule itself can cause."""
    problems: list[type[Problem]] = [TooManyRequests] if rule.limited else []
    if rule.needs_caller:
        problems += [TokenMissing, GateUnavailable]
        problems += _problems_of_credentials(rule)
        problems += [] if rule.before_password_change else [PasswordChangeRequired]
    if rule.within_seconds is not None:
        problems.append(StepUpRequired)
    if rule.on is not None:
        problems.append(NotFound)
    if rule.scope_names:
        problems.append(ScopeMissing)
    if rule.accepts_refresh_token:
        problems += [RefreshInvalid, RefreshReused, CrossSite]
    return tuple(problems)


def _scheme_name(credential: str) -> str:
    return BEARER if credential == ACCESS_TOKEN else credential


def _problems_of_credentials(rule: Rule) -> list[type[Problem]]:
    """Return how the credentials of a rule can fail; those of an application are not known here."""
    if rule.by == BY_ACCESS_TOKEN:
        return [TokenInvalid]
    problems: list[type[Problem]] = [CredentialNotAccepted, CredentialsAmbiguous]
    problems += [TokenInvalid] if ACCESS_TOKEN in rule.by else []
    problems += [ApiKeyInvalid] if API_KEY in rule.by else []
    problems += [SignatureInvalid] if rule.by - {ACCESS_TOKEN, API_KEY} else []
    return problems


def security_schemes(
    rules: Iterable[Rule],
    extra: Iterable[Scope] = (),
    credentials: Iterable[Credential] = (),
) -> Mapping[str, Mapping[str, Any]]:
    """Return the `securitySchemes`: that of the access token lists all scopes."""
    rule_scopes = [scope for rule in rules for scope in rule.scopes if isinstance(scope, Scope)]
    known = {scope.name: scope.description for scope in (*extra, *rule_scopes)}
    lines = [f"- `{name}`: {meaning}" for name, meaning in sorted(known.items())]
    text = "The access token of a sign-in. Scopes:\n\n" + "\n".join(lines)
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": text}
    return {BEARER: bearer} | {one.name: one.documentation for one in credentials}
