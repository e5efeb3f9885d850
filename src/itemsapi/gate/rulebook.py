"""The rulebook: exactly one rule per route and method."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPMethod

from flask import Flask
from werkzeug.routing import Rule as Route

from itemsapi.gate.api_keys import API_KEY
from itemsapi.gate.decorators import NEEDS_CALLER, declared_rules, handler_of
from itemsapi.gate.jwt_required import CHECKED_TWICE, asks_another_manager
from itemsapi.gate.route_rules import EVERY_ROUTE, Key, RulesByKey
from itemsapi.gate.routes import methods_with_views
from itemsapi.gate.rules import BY_ACCESS_TOKEN, Rule, each_once
from itemsapi.gate.shadowed_routes import shadowed_routes
from itemsapi.gate.skipped_decorators import skipped_decorators
from itemsapi.operator_error import OperatorError
from itemsapi.problems import RouteUnguarded
from itemsapi.tokens.scopes import PASSWORD_CHANGE, Scope


class RulesInvalid(OperatorError, RuntimeError):
    """The rules have faults: a route lacks one, has two, or names an unknown scope or credential.

    Each fault is a line. `create_app` and `AuthLayer.seal` raise it. Without `seal` the application
    starts, logs each fault as `access_rule_fault`, and refuses routes without exactly one rule with
    `problems.RouteUnguarded`; in debug and testing their requests raise this.
    """

    list_heading = "faults in the access rules"


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One row of the access matrix."""

    method: str
    path: str
    endpoint: str
    rule: Rule
    route: Route = field(repr=False, compare=False)

    @property
    def has_unchecked_object(self) -> bool:
        """Return whether the path names an object for which the rule has no check (`on=`).

        That is no fault: the view may look for the object among those of the caller.
        """
        return "<" in self.path and self.rule.needs_caller and self.rule.on is None


class Rulebook:
    """The rule of every route and method, read when all routes are registered.

    `faults` has a line for each route without exactly one rule; such a route is refused, and so is
    every other path of its endpoint. `faults_by_endpoint` has these lines by endpoint and method.
    """

    def __init__(
        self,
        app: Flask,
        rules: RulesByKey | None = None,
        credentials: Collection[str] = BY_ACCESS_TOKEN,
    ) -> None:
        """Collect the rules of all routes: those of their views, and `rules` for the others.

        `credentials` are the names that a rule may accept.
        """
        rules = rules or RulesByKey()
        self.faults: list[str] = []
        self.faults_by_endpoint: dict[tuple[str, str], str] = {}
        self._by_pattern: list[tuple[RouteRule, str]] = []
        self._by_path: list[tuple[Key, str, RouteRule]] = []  # with the subdomain of the route
        self.entries = [
            entry
            for route in app.url_map.iter_rules()
            if not route.build_only and route.redirect_to is None  # it leads to no view
            for entry in self._entries(app, route, rules)
        ]
        self._refuse_patterns(rules.faults())
        self._refuse_several_subdomains()
        self.scopes = self._known_scopes(_blueprint_scopes(app))
        self.entries = [entry for entry in self.entries if self._has_known_scopes(entry)]
        self.entries = [e for e in self.entries if self._has_known_credentials(e, credentials)]
        self.faults += [*rules.faults(), *shadowed_routes(app)]
        self._refuse_skipped_decorators(app)
        self._refuse_several_rules()
        self._rules = {
            (id(entry.route), entry.method): entry.rule  # a route is not hashable
            for entry in self.entries
            if (entry.endpoint, entry.method) not in self.faults_by_endpoint
        }

    def _refuse_skipped_decorators(self, app: Flask) -> None:
        for endpoint, fault in skipped_decorators(app):
            self.faults.append(fault)
            self.faults_by_endpoint |= {(endpoint, method): fault for method in HTTPMethod}

    def _refuse_patterns(self, key_faults: list[str]) -> None:
        """Refuse the routes whose rule is by a pattern, as long as a key has no effect.

        It may be the misspelled guard of one of these routes.
        """
        for entry, _ in self._by_pattern if key_faults else ():
            self.faults_by_endpoint[entry.endpoint, entry.method] = (
                f"route {entry.method} {entry.path} has its rule by a pattern, and patterns open"
                f" nothing as long as a key has no effect; {key_faults[0]}"
            )

    def _refuse_several_subdomains(self) -> None:
        """Refuse the routes of a path that is on several subdomains.

        Who writes `"/": public(...)` means the first page of one of them. `/*` means all routes.
        """
        found = [each for each in self._by_path if each[0].pattern not in EVERY_ROUTE]
        subdomains: dict[Key, set[str]] = {}
        for key, subdomain, _ in found:
            subdomains.setdefault(key, set()).add(subdomain)
        for key, _, entry in found:
            if len(subdomains[key]) > 1:
                names = " and ".join(map(repr, sorted(subdomains[key])))
                fault = f"has its rule by {key.text!r}, a path on the subdomains {names}"
                advice = f"write the endpoint in its place, rules={{{entry.endpoint!r}: ...}}"
                self._add_fault(entry, f"{fault}; {advice}")

    def _refuse_several_rules(self) -> None:
        """Refuse an endpoint on all its paths if they have different rules."""
        rules: dict[tuple[str, str], Rule] = {}
        for entry in self.entries:
            key = entry.endpoint, entry.method
            if rules.setdefault(key, entry.rule) != entry.rule:
                fault = (
                    f"route {entry.method} {entry.path} has another rule than the other paths of"
                    f" {entry.endpoint}; give them one rule, or an endpoint each"
                )
                self.faults.append(fault)
                self.faults_by_endpoint[key] = fault

    def public_by_pattern(self) -> Counter[str]:
        """Return how many routes and methods a pattern such as `/*` makes public, by pattern."""
        return Counter(
            pattern
            for entry, pattern in self._by_pattern
            if entry.rule.kind == "public" and entry.method != "HEAD"
        )

    def require_complete(self) -> None:
        """Raise `RulesInvalid` with all faults, one a line."""
        if self.faults:
            raise RulesInvalid("\n".join(self.faults))

    def rule_for(self, route: Route | None, method: str) -> Rule:
        """Return the rule of a route. Raise `RouteUnguarded` if it has none.

        A route that was added after the others has none, even if its endpoint has.
        """
        rule = self._rules.get((id(route), method))
        if rule is None:
            raise RouteUnguarded
        return rule

    def matrix(self) -> list[RouteRule]:
        """Return every route and method with its rule, by path."""
        return sorted(self.entries, key=lambda entry: (entry.path, entry.method))

    def _entries(self, app: Flask, route: Route, rules: RulesByKey) -> Iterator[RouteRule]:
        if route.methods is None:
            fault = f"route {route.rule} takes any method; name its methods"
            self.faults.append(fault)
            self.faults_by_endpoint |= {(route.endpoint, method): fault for method in HTTPMethod}
            return
        view = app.view_functions.get(route.endpoint)
        for method in sorted(methods_with_views(route)):
            declared = collect_rules(view, method)
            given = rules.find(route, method, has_decorator=bool(declared))
            found = [*declared, *given.rules]
            if len(found) == 1:
                entry = RouteRule(method, route.rule, route.endpoint, found[0], route)
                if given.by_pattern:
                    self._by_pattern.append((entry, given.keys[0].text))
                paths = [key for key in given.keys if key.is_path]
                self._by_path += [(key, str(route.subdomain), entry) for key in paths]
                if self._is_possible(entry, app, route, view):
                    yield entry
            else:
                problem = _problem(route, view, method, declared, given.keys)
                fault = f"route {method} {route.rule} {problem}"
                self.faults_by_endpoint[route.endpoint, method] = fault
                if method != "HEAD" or "GET" not in route.methods:  # HEAD follows GET: one line
                    self.faults.append(fault)

    def _is_possible(self, entry: RouteRule, app: Flask, route: Route, view: object) -> bool:
        """Return whether the view can do its work by this rule; add the fault otherwise."""
        if entry.rule.needs_caller and asks_another_manager(app, _parts(view, entry.method)):
            self._add_fault(entry, CHECKED_TWICE)
            return False
        return self._has_checked_arguments(entry, route.arguments) and self._has_needed_caller(
            entry, handler_of(view, entry.method)
        )

    def _known_scopes(self, extra: Iterable[Scope]) -> dict[str, Scope]:
        declared = [
            scope
            for entry in self.entries
            for scope in entry.rule.scopes
            if isinstance(scope, Scope)
        ]
        known: dict[str, Scope] = {}
        for scope in [*extra, *declared]:
            if scope.name == PASSWORD_CHANGE.name:
                reason = "is reserved for temporary passwords; choose another name"
                self.faults.append(f"scope {scope.name} {reason}")
            elif (first := known.setdefault(scope.name, scope)) != scope:
                meanings = f"as {first.description!r} and as {scope.description!r}"
                advice = "declare it once, and use that object everywhere"
                self.faults.append(f"scope {scope.name} is declared {meanings}; {advice}")
        self.faults = list(dict.fromkeys(self.faults))
        return known

    def _has_known_scopes(self, entry: RouteRule) -> bool:
        unknown = sorted(entry.rule.scope_names - self.scopes.keys())
        if unknown:
            advice = f"declare it, Scope({unknown[0]!r}, 'what it permits')"
            self._add_fault(entry, f"demands the unknown scope {unknown[0]}; {advice}")
        return not unknown

    def _has_known_credentials(self, entry: RouteRule, credentials: Collection[str]) -> bool:
        unknown = sorted(entry.rule.by - set(credentials))
        if unknown:
            advice = "include=['api_keys']" if unknown[0] == API_KEY else "credentials=[...]"
            fault = f"accepts the unknown credential {unknown[0]!r}"
            self._add_fault(entry, f"{fault}; known are {_listed(credentials)}; add it by {advice}")
        return not unknown

    def _has_checked_arguments(self, entry: RouteRule, arguments: Collection[str]) -> bool:
        check = entry.rule.on
        missing = sorted(check.required - set(arguments)) if check else []
        if check and missing:
            self._add_fault(entry, f"has no argument {missing[0]!r}, which on={check.name} takes")
        return not missing

    def _has_needed_caller(self, entry: RouteRule, handler: object) -> bool:
        feature = getattr(handler, NEEDS_CALLER, None)
        if feature and not entry.rule.needs_caller:
            fault = f"has no caller, by whom {feature} tells requests apart"
            self._add_fault(entry, f"{fault}; require one, or leave {feature} out")
            return False
        return True

    def _add_fault(self, entry: RouteRule, fault: str) -> None:
        """Add a fault of a route, one line for HEAD and GET."""
        line = f"route {entry.method} {entry.path} {fault}"
        self.faults_by_endpoint[entry.endpoint, entry.method] = line
        if not any(one.endswith(f" {entry.path} {fault}") for one in self.faults):
            self.faults.append(line)


def _blueprint_scopes(app: Flask) -> list[Scope]:
    blueprints = app.blueprints.values()
    return [scope for blueprint in blueprints for scope in getattr(blueprint, "scopes", ())]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _problem(route: Route, view: object, method: str, declared: list[Rule], keys: list[Key]) -> str:
    """Return what is wrong with a route that has no rule or several, and what to do."""
    advice = "give it exactly one of @requires, @signed_in, @public"
    if keys:
        owners = [
            *(["a decorator"] if declared else []),
            *(f"the key {key.text!r}" for key in keys),
        ]
        if not declared and not any(key.is_exact for key in keys):
            advice = f"neither is closer, so write a key for it alone, '{method} {route.rule}'"
        elif not declared:
            advice = "keep one of them"
        return f"has more than one access rule: by {' and by '.join(owners)}; {advice}"
    if declared:
        return f"has more than one access rule; {advice}"
    key = _rule_key(route.endpoint, view, method)
    return f"has no access rule; {advice}, or AuthLayer(app, rules={{{key!r}: ...}})"


def _rule_key(endpoint: str, view: object, method: str) -> str:
    """Return a key for `AuthLayer(rules=)`: of a class one method, as others may have rules."""
    return f"{method} {endpoint}" if hasattr(view, "view_class") else endpoint


def collect_rules(view: object, method: str) -> list[Rule]:
    """Return the rules of a view function, or of a MethodView's class and its method; each once."""
    return each_once([rule for part in _parts(view, method) for rule in declared_rules(part)])


def _parts(view: object, method: str) -> list[object]:
    """Return a view function; of a MethodView also its class, and what answers the method."""
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        return [view]
    return [view, view_class, handler_of(view, method)]
