"""The rulebook: exactly one rule per route and method, or the application does not start."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flask import Flask
from werkzeug.routing import Rule as Route

from itemsapi.gate.decorators import declared_rules
from itemsapi.gate.rules import Rule
from itemsapi.problems import RouteUnguarded
from itemsapi.tokens.scopes import BUILTIN_SCOPES, PASSWORD_CHANGE, Scope


class RulesInvalid(RuntimeError):
    """The application does not start: a route lacks a rule, has two, or names an unknown scope.

    A route that is added after the start is `problems.RouteUnguarded`, for each of its requests.
    """


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One row of the access matrix."""

    method: str
    path: str
    endpoint: str
    rule: Rule


class Rulebook:
    """The rule of every route; created at boot, after all blueprints are registered."""

    def __init__(self, app: Flask, scopes: Iterable[Scope] = ()) -> None:
        """Collect the rules of all routes. Raise `RulesInvalid`, which names the route."""
        self.entries = [
            entry for route in app.url_map.iter_rules() for entry in _route_rules(app, route)
        ]
        self._rules = {(entry.endpoint, entry.method): entry.rule for entry in self.entries}
        self.scopes = _known_scopes(self.entries, scopes)
        for entry in self.entries:
            _require_known_scopes(entry, self.scopes)

    def rule_for(self, endpoint: str, method: str) -> Rule:
        """Return the rule of an endpoint. Raise `RouteUnguarded` if it was added after boot."""
        rule = self._rules.get((endpoint, method))
        if rule is None:
            raise RouteUnguarded
        return rule

    def matrix(self) -> list[RouteRule]:
        """Return every route and method with its rule, by path."""
        return sorted(self.entries, key=lambda entry: (entry.path, entry.method))


def _route_rules(app: Flask, route: Route) -> Iterator[RouteRule]:
    if route.methods is None:
        msg = f"route {route.rule} takes any method; name its methods"
        raise RulesInvalid(msg)
    view = app.view_functions[route.endpoint]
    for method in sorted(route.methods - {"OPTIONS"}):
        yield RouteRule(method, route.rule, route.endpoint, _only_rule(view, method, route.rule))


def _only_rule(view: object, method: str, path: str) -> Rule:
    rules = _collect_rules(view, method)
    if len(rules) == 1:
        return rules[0]
    fault = "has no access rule" if not rules else "has more than one access rule"
    msg = f"route {method} {path} {fault}; give it exactly one of @requires, @signed_in, @public"
    if path.endswith("<path:filename>"):
        msg += " (a static folder has none: serve its files by a view of your own)"
    raise RulesInvalid(msg)


def _collect_rules(view: object, method: str) -> list[Rule]:
    """Return the rules of a view function, or of a MethodView's class and its method; each once."""
    rules = list(declared_rules(view))
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        handler = getattr(view_class, method.lower(), None)
        if handler is None and method == "HEAD":
            handler = getattr(view_class, "get", None)
        rules += [*declared_rules(view_class), *declared_rules(handler)]
    return [rule for i, rule in enumerate(rules) if not any(rule is r for r in rules[:i])]


def _known_scopes(entries: Iterable[RouteRule], extra: Iterable[Scope]) -> dict[str, Scope]:
    declared = [
        scope for entry in entries for scope in entry.rule.scopes if isinstance(scope, Scope)
    ]
    known: dict[str, Scope] = {}
    for scope in [*BUILTIN_SCOPES, *extra, *declared]:
        if scope.name == PASSWORD_CHANGE.name:
            msg = f"scope {scope.name} is reserved for temporary passwords; choose another name"
            raise RulesInvalid(msg)
        if known.setdefault(scope.name, scope) != scope:
            msg = f"scope {scope.name} is declared twice with different meanings"
            raise RulesInvalid(msg)
    return known


def _require_known_scopes(entry: RouteRule, known: dict[str, Scope]) -> None:
    unknown = sorted(entry.rule.scope_names - known.keys())
    if unknown:
        msg = f"route {entry.method} {entry.path} demands the unknown scope {unknown[0]}"
        raise RulesInvalid(msg)
