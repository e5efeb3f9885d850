"""The credentials of an application beside the access token: API keys, and those of its own.

The kit makes API keys. It cannot make another credential, so a test gives the headers of a valid
one; the kit breaks them.
"""

from collections.abc import Iterator, Mapping

from flask import Flask

from itemsapi.extension import gate_of
from itemsapi.gate.api_keys import API_KEY
from itemsapi.gate.rules import BY_ACCESS_TOKEN, Rule
from itemsapi.services import services_of
from itemsapi.testing.api_keys import ApiKeyForger
from itemsapi.testing.attack import AMBIGUOUS, ANY_CHALLENGE, INVALID, Attack, Headers, bearer


class OtherCredentials:
    """The credentials of one application, by the names that its rules have for them."""

    def __init__(self, app: Flask, given: Mapping[str, Headers], access_token: str) -> None:
        """Take the headers of credentials that a test gives, and a valid access token.

        Raise `ValueError` for a credential that the application does not have.
        """
        names = gate_of(app).credentials.names - BY_ACCESS_TOKEN
        if unknown := sorted(given.keys() - names):
            known = ", ".join(sorted(names)) or "none beside the access token"
            raise ValueError(f"{unknown[0]} is no credential of {app.name}; it has {known}")
        self._names, self._given, self._access_token = sorted(names), given, access_token
        is_made = API_KEY in names - given.keys() and services_of(app).has_layer_users
        self.api_keys = ApiKeyForger(app) if is_made else None

    def headers(self, name: str, scopes: frozenset[str]) -> Headers | None:
        """Return a valid credential; None if no test gave it and the kit cannot make it.

        An API key that the kit makes has exactly these scopes.
        """
        if name == API_KEY and self.api_keys is not None:
            return bearer(self.api_keys.key(scopes))
        return self._given.get(name)

    def attacks(self, rule: Rule) -> Iterator[Attack]:
        """Yield what a rule must refuse of these credentials."""
        for name in self._names:
            if name == API_KEY and self.api_keys is not None:
                yield from self._attacks_with_keys(rule, self.api_keys)
            elif name in self._given:
                yield from self._attacks_with(name, self._given[name], rule)

    def _attacks_with_keys(self, rule: Rule, api_keys: ApiKeyForger) -> Iterator[Attack]:
        if API_KEY in rule.by:
            yield from api_keys.attacks(rule)
        else:
            yield not_named(API_KEY, bearer(api_keys.valid))

    def _attacks_with(self, name: str, valid: Headers, rule: Rule) -> Iterator[Attack]:
        if name in rule.by:
            yield from _broken(name, valid)
        else:
            yield not_named(name, valid)
        if "authorization" not in map(str.lower, valid):
            both = {**valid, **bearer(self._access_token)}
            yield Attack(f"{name} and an access token", AMBIGUOUS, both)


def not_named(name: str, valid: Headers) -> Attack:
    """Return the attack with a valid credential of a kind that the rule does not name."""
    return Attack(f"{name}, which the rule does not name", INVALID, valid)


def _broken(name: str, valid: Headers) -> Iterator[Attack]:
    """Yield a credential with one header changed; all of its headers must count."""
    for header, value in valid.items():
        scheme, space, secret = value.rpartition(" ")
        changed = "1" if secret[-1:] == "0" else "0"
        for defect, text in (
            ("empty", ""),
            ("cut", secret[:-1]),
            ("longer", f"{secret}0"),
            ("changed", f"{secret[:-1]}{changed}"),
        ):
            headers = {**valid, header: f"{scheme}{space}{text}"}
            yield Attack(f"{name}, {header} {defect}", ANY_CHALLENGE, headers)
