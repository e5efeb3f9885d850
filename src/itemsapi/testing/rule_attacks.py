"""What the rule of a route adds to the attacks, and what it must let in."""

from collections.abc import Iterator

from itemsapi.clock import unix_seconds
from itemsapi.gate.rules import Rule
from itemsapi.testing.forged_tokens import (
    LACKS_SCOPE,
    SIGN_IN_TOO_OLD,
    Attack,
    TokenForger,
    bearer_attack,
)
from itemsapi.tokens.scopes import PASSWORD_CHANGE


def attacks_on(rule: Rule, forger: TokenForger) -> Iterator[Attack]:
    """Yield valid tokens that a rule must refuse: each lacks one thing that the rule requires."""
    if not rule.accepts_access_token:
        return
    known = frozenset(forger.services.scopes())
    if rule.scope_names:
        yield bearer_attack("no scopes", forger.token(frozenset()), LACKS_SCOPE)
    for scope in sorted(rule.scope_names):
        yield bearer_attack(f"without {scope}", forger.token(known - {scope}), LACKS_SCOPE)
    if not rule.before_password_change:
        token = forger.token(frozenset({PASSWORD_CHANGE.name}))
        yield bearer_attack("only to change the password", token, LACKS_SCOPE)
    if rule.within_seconds is not None:
        signed_in_at = unix_seconds(forger.services.clock()) - rule.within_seconds - 1
        token = forger.token(known, claims={"auth_time": signed_in_at})
        yield bearer_attack("signed in too long ago", token, SIGN_IN_TOO_OLD)


def credential_for(rule: Rule, forger: TokenForger) -> dict[str, str] | None:
    """Return the headers with what a rule requires and nothing more; None if they are not known.

    They are not for a rule that accepts no access token, only a credential of the application.
    """
    if not rule.needs_caller:
        return {}
    if not rule.accepts_access_token:
        return None
    return {"Authorization": f"Bearer {forger.token(rule.scope_names)}"}
