"""The rulebook: exactly one rule per route and method, or the application does not start."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flask import Flask
from werkzeug.routing import Rule as Route

from itemsapi.gate.decorators import declared_rules
from itemsapi.gate.rules import Rule
from itemsapi.problems import RouteUnguarded
from itemsapi.tokens.scopes import BUILTIN_SCOPES, PASSWORD_CHANGE, Scope


class UnguardedRoute(RuntimeError):
    """A route has no access rule, or more than one, or a rule nobody could fulfil."""


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One line of the access matrix."""

    method: str
    path: str
    endpoint: str
    rule: Rule


class Rulebook:
    """Which rule stands before which route; made at boot, after every page is registered."""

    def __init__(self, app: Flask, scopes: Iterable[Scope] = ()) -> None:
        """Read the rules of every route. Raises `UnguardedRoute` with one line that names it."""
        self.entries = [entry for route in app.url_map.iter_rules() for entry in _read(app, route)]
        self._rules = {(one.endpoint, one.method): one.rule for one in self.entries}
        self.scopes = _known(self.entries, scopes)
        for entry in self.entries:
            _refuse_unknown(entry, self.scopes)

    @property
    def scope_names(self) -> frozenset[str]:
        """The names of all scopes that the application knows."""
        return frozenset(self.scopes)

    def rule_for(self, endpoint: str, method: str) -> Rule:
        """Return the rule before an endpoint. Raises `RouteUnguarded` for what came after boot."""
        rule = self._rules.get((endpoint, method))
        if rule is None:
            raise RouteUnguarded
        return rule

    def matrix(self) -> list[RouteRule]:
        """Return every route and method with its rule, by path."""
        return sorted(self.entries, key=lambda one: (one.path, one.method))


def _read(app: Flask, route: Route) -> Iterator[RouteRule]:
    if route.methods is None:
        msg = f"route {route.rule} takes any method; name its methods"
        raise UnguardedRoute(msg)
    view = app.view_functions[route.endpoint]
    for method in sorted(route.methods - {"OPTIONS"}):
        yield RouteRule(method, route.rule, route.endpoint, _the_rule(view, method, route.rule))


def _the_rule(view: object, method: str, path: str) -> Rule:
    rules = _rules(view, method)
    if len(rules) == 1:
        return rules[0]
    fault = "has no access rule" if not rules else "has more than one access rule"
    msg = f"route {method} {path} {fault}; give it exactly one of @requires, @signed_in, @public"
    if path.endswith("<path:filename>"):
        msg += " (a static folder has none: serve its files by a view of your own)"
    raise UnguardedRoute(msg)


def _rules(view: object, method: str) -> list[Rule]:
    """Collect the rules on a view function, or on a MethodView's class and its method."""
    found = list(declared_rules(view))
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        handler = getattr(view_class, method.lower(), None)
        if handler is None and method == "HEAD":
            handler = getattr(view_class, "get", None)
        found += [*declared_rules(view_class), *declared_rules(handler)]
    return [rule for at, rule in enumerate(found) if not any(rule is r for r in found[:at])]


def _known(entries: Iterable[RouteRule], extra: Iterable[Scope]) -> dict[str, Scope]:
    declared = [scope for one in entries for scope in one.rule.scopes if isinstance(scope, Scope)]
    known: dict[str, Scope] = {}
    for scope in [*BUILTIN_SCOPES, *extra, *declared]:
        if scope.name == PASSWORD_CHANGE.name:
            msg = f"scope {scope.name} is kept for who must set another password; name it otherwise"
            raise UnguardedRoute(msg)
        if known.setdefault(scope.name, scope) != scope:
            msg = f"scope {scope.name} is declared twice with different meanings"
            raise UnguardedRoute(msg)
    return known


def _refuse_unknown(entry: RouteRule, known: dict[str, Scope]) -> None:
    unknown = sorted(entry.rule.scope_names - known.keys())
    if unknown:
        msg = f"route {entry.method} {entry.path} demands the unknown scope {unknown[0]}"
        raise UnguardedRoute(msg)
