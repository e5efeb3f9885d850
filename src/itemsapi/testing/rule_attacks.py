"""What the rule of a route adds to the attacks, and what it must let in."""

from collections.abc import Iterator

from itemsapi.clock import unix_seconds
from itemsapi.gate.api_keys import API_KEY
from itemsapi.gate.rules import ACCESS_TOKEN, Rule
from itemsapi.testing.attack import (
    LACKS_SCOPE,
    NO_OBJECT,
    SIGN_IN_TOO_OLD,
    Attack,
    Headers,
    bearer,
    bearer_attack,
)
from itemsapi.testing.forged_tokens import TokenForger
from itemsapi.testing.other_credentials import OtherCredentials, not_named
from itemsapi.tokens.scopes import PASSWORD_CHANGE


class RuleAttacks:
    """Makes the credentials for the rules of one application."""

    def __init__(self, forger: TokenForger, others: OtherCredentials) -> None:
        """Take what makes access tokens and the other credentials."""
        self._forger, self._others = forger, others

    def attacks(self, rule: Rule, *, is_shared: bool = False) -> Iterator[Attack]:
        """Yield credentials that a rule must refuse: each lacks one thing that the rule requires.

        `is_shared`: the object of the route is everybody's, so that a stranger may reach it.
        """
        if rule.accepts_access_token:
            yield from self._with_access_tokens(rule)
        else:
            yield not_named(ACCESS_TOKEN, bearer(self._forger.valid))
        yield from self._others.attacks(rule)
        if rule.on is not None and not is_shared:
            yield from self._by_strangers(rule)

    def right_credentials(self, rule: Rule) -> Iterator[tuple[str, Headers | None]]:
        """Yield each credential that a rule names, with the headers that have what it requires.

        Nothing more than that, and None if the kit cannot make it.
        """
        for name in sorted(rule.by):
            if name == ACCESS_TOKEN:
                yield name, bearer(self._forger.token(rule.scope_names))
            else:
                yield name, self._others.headers(name, rule.scope_names)

    def _with_access_tokens(self, rule: Rule) -> Iterator[Attack]:
        forger, known = self._forger, frozenset(self._forger.services.scopes())
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

    def _by_strangers(self, rule: Rule) -> Iterator[Attack]:
        """Yield new users with exactly the scopes of the rule: no object is theirs."""
        if rule.accepts_access_token:
            token = self._forger.token(rule.scope_names)
            yield bearer_attack("another user's object", token, NO_OBJECT)
        if API_KEY in rule.by and self._others.api_keys is not None:
            key = self._others.api_keys.key(rule.scope_names)
            yield bearer_attack("another user's object, by API key", key, NO_OBJECT)
