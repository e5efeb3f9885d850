"""Rules for routes that the application does not own, such as those of an extension.

    AuthLayer(app, rules={
        "static": public("the files of the website"),
        "/admin/*": requires("admin"),
        "POST,PUT /hooks/*": public("the views verify the signature"),
    })

A key is an endpoint, or a path if it begins with `/`. `*` is any text; methods may precede it. The
closest key counts: an exact one before a pattern, then one with a method, then the longest.
HEAD follows GET. A decorator on the view wins over a pattern; beside an exact key it is a fault.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from werkzeug.routing import Rule as Route

from itemsapi.gate.decorators import declared_rules
from itemsapi.gate.rules import Rule

RuleDecorator = Callable[[Any], Any]


class ClosestRules(NamedTuple):
    """The different rules of the closest keys for one route and method.

    `is_exact` tells whether the keys name the route itself, without `*`.
    """

    rules: list[Rule]
    is_exact: bool


class RulesByKey:
    """The rules by key. `unused` are the keys that matched no route so far."""

    def __init__(self, decorators: Mapping[str, RuleDecorator] | None = None) -> None:
        """Take the rule decorators by key."""
        self._rules = {key: rule_of(value) for key, value in (decorators or {}).items()}
        self.unused = set(self._rules)

    def find(self, route: Route, method: str) -> ClosestRules:
        """Return the rules of the closest keys for a route and method.

        There are several if keys with different rules are equally close.
        """
        if method == "HEAD" and "GET" in (route.methods or ()):
            method = "GET"
        keys = [key for key in self._rules if _matches(key, route, method)]
        self.unused.difference_update(keys)
        closest = max(map(_closeness, keys), default=None)
        found = [self._rules[key] for key in keys if _closeness(key) == closest]
        rules = [rule for i, rule in enumerate(found) if rule not in found[:i]]
        return ClosestRules(rules, closest is not None and closest[0])


def rule_of(decorator: RuleDecorator) -> Rule:
    """Return the rule of a decorator such as `signed_in` or `requires("orders:read")`."""

    def probe() -> None: ...

    (rule,) = declared_rules(decorator(probe))
    return rule


def _matches(key: str, route: Route, method: str) -> bool:
    methods, _, pattern = key.rpartition(" ")
    name = route.rule if pattern.startswith("/") else route.endpoint
    return (not methods or method in methods.split(",")) and fnmatchcase(name, pattern)


def _closeness(key: str) -> tuple[bool, bool, int]:
    methods, _, pattern = key.rpartition(" ")
    return "*" not in pattern, bool(methods), len(pattern)
