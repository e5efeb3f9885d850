"""Rules for routes that the application does not own, such as those of an extension.

    ADMIN = Scope("shop:admin", "Manage the shop")

    AuthLayer(app, rules={
        "static": public("the files of the website"),
        "/admin/*": requires(ADMIN),
        "POST,PUT /hooks/*": public("the views verify the signature"),
    })

A key is an endpoint, or a path if it begins with `/`. `*` is any text, and the only special
character; methods may precede it. The closest key counts: an exact one before a pattern, the
narrower of two patterns, then one with methods before one without. Where neither is closer and
their rules differ, the route is refused: an endpoint and a path cannot be compared. HEAD follows
GET. A decorator on the view wins over a pattern; beside an exact key it is a fault.

A key that decides no route is a fault, and as long as there is one, the patterns open nothing: it
may be the misspelled guard of a route that a wider pattern would open.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPMethod
from typing import Any, NamedTuple

from werkzeug.routing import Rule as Route

from itemsapi.gate.decorators import declared_rules
from itemsapi.gate.rules import Rule
from itemsapi.gate.shadowed_routes import LAYER_PREFIX

RuleDecorator = Callable[[Any], Any]

EVERY_ROUTE = frozenset({"*", "/*"})  # the patterns that match every endpoint, and every path
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
    def is_path(self) -> bool:
        """Return whether the key is about paths; otherwise it is about endpoints."""
        return self.pattern.startswith("/")

    def matches(self, route: Route, method: str) -> bool:
        """Return whether the key is about a route and method."""
        name = route.rule if self.is_path else str(route.endpoint)
        return self._has(method) and self._covers(name)

    def is_below(self, route: Route, method: str) -> bool:
        """Return whether the key is about the paths below a route only: `/admin/*` and `/admin`.

        `/*/admin/*` is below `/<tenant>/admin`; `/*/*` names nothing that it could be below.
        """
        above, _, last = self.pattern.rpartition("/")
        names_route = self.is_path and last == "*" and not above.endswith("/*")
        is_above = _matches(above, route.rule) and not self._covers(route.rule)
        return names_route and is_above and self._has(method)

    def is_closer(self, other: "Key") -> bool:
        """Return whether this key decides where both match."""
        if self.is_exact != other.is_exact:
            return self.is_exact
        if other.contains(self) != self.contains(other):
            return other.contains(self)
        return self.contains(other) and bool(self.methods) and not other.methods

    def contains(self, other: "Key") -> bool:
        """Return whether every route that `other` matches is matched by this key, too."""
        if self.pattern in EVERY_ROUTE:
            return True
        return self.is_path == other.is_path and self._covers(other.pattern)

    def _covers(self, name: str) -> bool:
        """Return whether the pattern matches a name; a `*` in it is matched by `*` alone."""
        return _matches(self.pattern, name)

    def _has(self, method: str) -> bool:
        return not self.methods or method in self.methods


def _matches(pattern: str, name: str) -> bool:
    regex = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(regex, name) is not None


class ClosestRules(NamedTuple):
    """The different rules for one route and method, and the closest keys, which name them."""

    rules: list[Rule]
    keys: list[Key]

    @property
    def by_pattern(self) -> bool:
        """Return whether a pattern decides, and no key that names the route itself."""
        return any(not key.is_exact for key in self.keys)


class RulesByKey:
    """The rules by key, and which of the keys decided a route so far."""

    def __init__(self, decorators: Mapping[str, RuleDecorator] | None = None) -> None:
        """Take the rule decorators by key.

        Raise `ValueError` for a key with an unknown method, `TypeError` for a value without rule
        and for what is no mapping of texts.
        """
        _require_mapping(decorators or {})
        self._rules = {
            parse_key(key): rule_of(value, f"rules[{key!r}]")
            for key, value in (decorators or {}).items()
        }
        self._deciding: set[Key] = set()
        self._beaten: dict[Key, str] = {}

    def find(self, route: Route, method: str, *, has_decorator: bool) -> ClosestRules:
        """Return the rules of the closest keys for a route and method.

        There are several if none of the keys is closer than the others, or if a wider pattern
        decides where `/admin/*` stops short of `/admin`. There are none if the view has a decorator
        (`has_decorator`) and only patterns match.
        """
        if method == "HEAD" and "GET" in (route.methods or ()):
            method = "GET"
        keys = [key for key in self._rules if key.matches(route, method)]
        closest = _closest_of(keys)
        # Behind a decorator too, where a key waits for another view; but what guards only routes of
        # the layer, which have rules of their own, guards nothing.
        of_layer = str(route.endpoint).startswith(LAYER_PREFIX)
        self._deciding |= {k for k in closest if not of_layer or k.pattern in EVERY_ROUTE}
        for key in keys:
            winner = f"the key {closest[0].text!r}"
            self._beaten.setdefault(key, f"for {method} {route.rule} {winner} is closer")
        if has_decorator:
            closest = [key for key in closest if key.is_exact]
        if closest:
            below = [key for key in self._rules if key.is_below(route, method)]
            closest += [key for key in _closest_of([*closest, *below]) if key in below]
        found = [self._rules[key] for key in closest]
        rules = [rule for i, rule in enumerate(found) if rule not in found[:i]]
        return ClosestRules(rules, closest)

    def faults(self) -> list[str]:
        """Return a line for each key that decided no route: it has no effect."""
        idle = sorted(self._rules.keys() - self._deciding)
        return [f"rules: {key.text!r} {self._why_idle(key)}" for key in idle]

    def _why_idle(self, key: Key) -> str:
        closer = self._beaten.get(key)
        if closer:
            return f"decides no route: {closer}; remove it"
        return "matches no route of the application; correct or remove it"


def _require_mapping(rules: object) -> None:
    """Raise `TypeError` for rules that are not given by key."""
    if not isinstance(rules, Mapping) or not all(isinstance(key, str) for key in rules):
        msg = "rules= has rules by endpoint or path; write rules={'static': public('why')}"
        raise TypeError(msg)


def _closest_of(keys: list[Key]) -> list[Key]:
    """Return the keys that no other one is closer than."""
    return [key for key in keys if not any(other.is_closer(key) for other in keys)]


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
    return Key(text, frozenset(names), re.sub(r"\*+", "*", found[2]))


def rule_of(decorator: RuleDecorator, name: str = "this") -> Rule:
    """Return the rule of a decorator such as `signed_in` or `requires(ORDERS_READ)`.

    Raise `TypeError` for anything else; `name` says what it is in the message.
    """

    def probe() -> None:
        """Take the rule of the decorator."""

    rules: tuple[Rule, ...] = ()
    if callable(decorator):  # a scope or a text is not
        with suppress(TypeError, ValueError):  # of `public` and `requires` without ()
            rules = declared_rules(decorator(probe))
    if len(rules) != 1:
        msg = f"{name} is no rule; write public('why'), requires(SCOPE) or signed_in"
        raise TypeError(msg)
    return rules[0]
