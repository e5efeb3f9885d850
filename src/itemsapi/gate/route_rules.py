"""Rules for routes that the application does not own, such as those of an extension.

    AuthLayer(app, rules={
        "static": public("the files of the website"),
        "/admin/*": requires("admin"),
        "POST webhooks.*": public("the view verifies the signature"),
    })

A key is an endpoint, or a path if it begins with `/`, with `*` for any text; a method may precede
it. The closest key counts: an exact one before a pattern, then one with a method, then the longest.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from werkzeug.routing import Rule as Route

from itemsapi.gate.decorators import declared_rules
from itemsapi.gate.rules import Rule

RuleDecorator = Callable[[Any], Any]


class RouteRules:
    """The rules by key. `unused` are the keys that matched no route so far."""

    def __init__(self, decorators: Mapping[str, RuleDecorator] | None = None) -> None:
        """Take the rule decorators by key."""
        self._rules = {key: rule_of(value) for key, value in (decorators or {}).items()}
        self.unused = set(self._rules)

    def find(self, route: Route, method: str) -> list[Rule]:
        """Return the rule of the closest key for a route and method.

        Return no rule if no key matches, and several if keys with different rules are equally
        close.
        """
        keys = [key for key in self._rules if _matches(key, route, method)]
        self.unused.difference_update(keys)
        closest = max(map(_closeness, keys), default=None)
        found = [self._rules[key] for key in keys if _closeness(key) == closest]
        return [rule for i, rule in enumerate(found) if rule not in found[:i]]


def rule_of(decorator: RuleDecorator) -> Rule:
    """Return the rule of a decorator such as `signed_in` or `requires("orders:read")`."""

    def probe() -> None: ...

    (rule,) = declared_rules(decorator(probe))
    return rule


def _matches(key: str, route: Route, method: str) -> bool:
    only_method, _, pattern = key.rpartition(" ")
    name = route.rule if pattern.startswith("/") else route.endpoint
    return only_method in {"", method} and fnmatchcase(name, pattern)


def _closeness(key: str) -> tuple[bool, bool, int]:
    only_method, _, pattern = key.rpartition(" ")
    return "*" not in pattern, bool(only_method), len(pattern)
