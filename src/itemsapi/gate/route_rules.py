"""Rules for routes that the application does not own, such as those of an extension.

    AuthLayer(app, rules={
        "static": public("the files of the website"),
        "/admin/*": requires("admin"),
        "POST,PUT /hooks/*": public("the views verify the signature"),
    })

A key is an endpoint, or a path if it begins with `/`. `*` is any text, and the only special
character; methods may precede it. The closest key counts: an exact one before a pattern, then the
longest pattern, then one with methods before one without. HEAD follows GET. A decorator on the view
wins over a pattern; beside an exact key it is a fault. So is a key that decides no route.
"""

import re
from collections.abc import Callable, Mapping
from http import HTTPMethod
from typing import Any, NamedTuple

from werkzeug.routing import Rule as Route

from itemsapi.gate.decorators import declared_rules
from itemsapi.gate.rules import Rule

RuleDecorator = Callable[[Any], Any]

METHODS = frozenset(HTTPMethod) - {HTTPMethod.HEAD}
KEY = re.compile(r"(?:([^/]*)\s+)?(/.*|\S+)")  # a path may contain spaces: "/<any(a, b):name>"


class Key(NamedTuple):
    """A key of `rules={...}`: the methods (none: all of them), and the endpoint or the path."""

    text: str
    methods: frozenset[str]
    pattern: str

    @property
    def is_exact(self) -> bool:
        """Return whether the key names a route itself, without `*`."""
        return "*" not in self.pattern

    @property
    def closeness(self) -> tuple[bool, int, bool]:
        """Return what is greater for the closer one of two keys that match the same route."""
        return self.is_exact, 0 if self.is_exact else len(self.pattern), bool(self.methods)

    def matches(self, route: Route, method: str) -> bool:
        """Return whether the key is about a route and method."""
        name = route.rule if self.pattern.startswith("/") else route.endpoint
        regex = ".*".join(map(re.escape, self.pattern.split("*")))
        return (not self.methods or method in self.methods) and bool(re.fullmatch(regex, name))


class ClosestRules(NamedTuple):
    """The different rules for one route and method, and the closest keys, which name them."""

    rules: list[Rule]
    keys: list[str]


class RulesByKey:
    """The rules by key, and which of the keys decided a route so far."""

    def __init__(self, decorators: Mapping[str, RuleDecorator] | None = None) -> None:
        """Take the rule decorators by key.

        Raise `ValueError` for a key with an unknown method, `TypeError` for a value without rule.
        """
        self._rules = {
            parse_key(key): rule_of(value, f"rules[{key!r}]")
            for key, value in (decorators or {}).items()
        }
        self._deciding: set[Key] = set()
        self._beaten: dict[Key, str] = {}

    def find(self, route: Route, method: str, *, has_decorator: bool) -> ClosestRules:
        """Return the rules of the closest keys for a route and method.

        There are several if keys with different rules are equally close. There are none if the
        view has a decorator (`has_decorator`) and only patterns match.
        """
        if method == "HEAD" and "GET" in (route.methods or ()):
            method = "GET"
        keys = [key for key in self._rules if key.matches(route, method)]
        best = max((key.closeness for key in keys), default=None)
        closest = [key for key in keys if key.closeness == best]
        self._deciding.update(closest)  # behind a decorator too: it waits for a view without one
        for key in keys:
            winner = f"the key {closest[0].text!r}"
            self._beaten.setdefault(key, f"for {method} {route.rule} {winner} is closer")
        if has_decorator:
            closest = [key for key in closest if key.is_exact]
        found = [self._rules[key] for key in closest]
        rules = [rule for i, rule in enumerate(found) if rule not in found[:i]]
        return ClosestRules(rules, [key.text for key in closest])

    def faults(self) -> list[str]:
        """Return a line for each key that decided no route: it has no effect."""
        idle = sorted(self._rules.keys() - self._deciding)
        return [f"rules: {key.text!r} {self._why_idle(key)}" for key in idle]

    def _why_idle(self, key: Key) -> str:
        closer = self._beaten.get(key)
        return f"decides no route: {closer}" if closer else "matches no route"


def parse_key(text: str) -> Key:
    """Return the parts of a key. Raise `ValueError` if it names no route or an unknown method."""
    found = KEY.fullmatch(text.strip())
    if found is None:
        msg = f"rules[{text!r}] names no route; write an endpoint, or a path that begins with /"
        raise ValueError(msg)
    names = [] if found[1] is None else [name.strip() for name in found[1].split(",")]
    for name in names:
        if name not in METHODS:
            reason = "HEAD follows GET" if name == "HEAD" else f"use {', '.join(sorted(METHODS))}"
            msg = f"rules[{text!r}] has the unknown method {name!r}; {reason}"
            raise ValueError(msg)
    return Key(text, frozenset(names), found[2])


def rule_of(decorator: RuleDecorator, name: str = "this") -> Rule:
    """Return the rule of a decorator such as `signed_in` or `requires("orders:read")`.

    Raise `TypeError` for anything else; `name` says what it is in the message.
    """

    def probe() -> None:
        """Take the rule of the decorator."""

    is_decorator = callable(decorator)  # a scope or a text is not
    rules = declared_rules(decorator(probe)) if is_decorator else ()
    if len(rules) != 1:
        msg = f"{name} is no rule; write public('why'), requires(SCOPE) or signed_in"
        raise TypeError(msg)
    return rules[0]
