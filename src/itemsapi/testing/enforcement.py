"""Attack every rule of an application, in process, with real tokens.

The application is sealed, and then each route that needs a token is requested with every bad
credential of `forged_tokens`, with each single scope missing, and in the ways of `detours`. The
gate must refuse each, with the right response, before a view runs. A token with exactly the scopes
of the rule must get in, so that a gate that refuses everybody is no success. Views do not run
meanwhile, see `stopped_views`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from flask import Flask

from itemsapi.extension import gate_of
from itemsapi.gate.routes import methods_with_views
from itemsapi.gate.rulebook import RouteRule, Rulebook
from itemsapi.gate.rules import ACCESS_TOKEN, Rule
from itemsapi.testing.application import seal
from itemsapi.testing.attack import Attack, Headers
from itemsapi.testing.detours import detours
from itemsapi.testing.forged_tokens import TokenForger
from itemsapi.testing.other_credentials import OtherCredentials
from itemsapi.testing.report import EnforcementReport, Failure, RulesNotEnforced
from itemsapi.testing.rule_attacks import RuleAttacks
from itemsapi.testing.stopped_views import Outcome, StoppedViews
from itemsapi.testing.targets import Target, find_target

PACKAGE = "itemsapi"


def assert_every_rule_is_enforced(
    app: Flask,
    *,
    public: Collection[str] | None = None,
    shared: Collection[str] = (),
    arguments: Mapping[str, object] | None = None,
    credentials: Mapping[str, Headers] | None = None,
) -> EnforcementReport:
    """Attack every route of `app`; return what was attacked.

    `public` names the routes of yours that need no token, as `GET /status`; others are failures.
    `shared` names the routes whose check of the object (`on=`) lets strangers in on purpose.
    `arguments` are values for the variables of routes, by name, where no sample leads to the route.
    `credentials` are the headers of a valid credential of your own, by its name in `by=`.

    Raise `RulesNotEnforced` with a table of the failures, `AssertionError` if no route of yours
    needs a token, `RulesInvalid` if a route has no rule, and `ValueError` for a credential that the
    application does not have. The database needs the tables of the layer; the revocations of an
    invented user and session are written to it, and if it has API keys, three users with some.
    """
    __tracebackhide__ = True  # pytest shows the table, not this function
    rulebook, forger = seal(app), TokenForger(app)
    others = OtherCredentials(app, credentials or {}, forger.valid)
    enforcement = _Enforcement(app, rulebook, forger, RuleAttacks(forger, others))
    enforcement.attack_every_route(arguments or {}, frozenset(shared))
    if public is not None:
        enforcement.compare_public(public)
    report = enforcement.report()
    if report.failures:
        raise RulesNotEnforced(report)
    if not enforcement.attacked_application_route:
        raise AssertionError(f"No route of {app.name} needs a token: only the layer was attacked.")
    return report


@dataclass(frozen=True, slots=True)
class _Operation:
    """One method of a route, its rule, and the address to request."""

    method: str
    path: str
    rule: Rule
    target: Target

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def follows(self) -> str:
        """The operation whose rule this is: HEAD follows GET."""
        return f"{'GET' if self.method == 'HEAD' else self.method} {self.path}"


class _Enforcement:
    """One run over all routes of an application."""

    def __init__(
        self, app: Flask, rulebook: Rulebook, forger: TokenForger, rule_attacks: RuleAttacks
    ) -> None:
        self._app, self._rulebook = app, rulebook
        self._rules = {(entry.endpoint, entry.method): entry.rule for entry in rulebook.entries}
        self._forger, self._rule_attacks = forger, rule_attacks
        self._requests = StoppedViews(app, gate_of(app))
        self._guarded: list[str] = []
        self._not_tried: list[str] = []
        self._failures: list[Failure] = []
        self._attacks = self._admitted = 0
        self.attacked_application_route = False  # one of the application, not of the layer

    def attack_every_route(self, arguments: Mapping[str, object], shared: frozenset[str]) -> None:
        """Attack the routes that need a token, and send every route what its rule requires."""
        attacks, checked = self._forger.attacks(), set[str]()
        with self._requests.active():
            for operation in self._operations(arguments):
                if operation.rule.needs_caller:
                    self._guarded.append(str(operation))
                    own = self._rule_attacks.attacks(
                        operation.rule, is_shared=operation.follows in shared
                    )
                    self._attack(operation, [*attacks, *own])
                    checked |= {operation.follows} if operation.rule.on else set()
                    if not self._is_of_layer(operation.target.endpoint):
                        self.attacked_application_route = True
                if not operation.target.redirects:
                    self._admit(operation)
        for route in sorted(shared - checked):
            self._fail(route, "is expected to be shared, and has no on=, or does not exist")

    def compare_public(self, expected: Collection[str]) -> None:
        """Add a failure for each public route that is not expected, and the other way round.

        The routes of the layer itself are not compared.
        """
        public = list(self._public())
        listed = {_name(entry) for entry in public}
        of_layer = {_name(entry) for entry in public if self._is_of_layer(entry.endpoint)}
        for route in sorted(listed - of_layer - set(expected)):
            self._fail(route, "is public, and not expected to be")
        for route in sorted(set(expected) - listed):
            self._fail(route, "is expected to be public, and is not, or does not exist")

    def report(self) -> EnforcementReport:
        """Return the counts and the failures so far."""
        return EnforcementReport(
            guarded=tuple(self._guarded),
            attacks=self._attacks,
            admitted=self._admitted,
            not_tried=tuple(self._not_tried),
            public=self._public_reasons(),
            checked_by_view=tuple(
                _name(entry)
                for entry in self._rulebook.matrix()
                if entry.rule.accepts_refresh_token
            ),
            failures=tuple(self._failures),
        )

    def _operations(self, arguments: Mapping[str, object]) -> Iterator[_Operation]:
        for route in self._app.url_map.iter_rules():
            target = find_target(self._app, route, arguments)
            for method in sorted(methods_with_views(route)):
                rule = self._rules.get((route.endpoint, method))
                if rule is None:
                    fault = "was added after the application was sealed; nobody can use it"
                    self._fail(f"{method} {route.rule}", fault)
                elif target is None:
                    fault = "no address found; pass arguments={...} for its variables"
                    self._fail(f"{method} {route.rule}", fault)
                else:
                    yield _Operation(method, route.rule, rule, target)

    def _attack(self, operation: _Operation, attacks: list[Attack]) -> None:
        for attack in attacks:
            outcome = self._requests.send(
                operation.target,
                operation.method,
                headers=attack.headers,
                query=attack.query,
                form=attack.form,
            )
            self._attacks += 1
            if operation.target.redirects:
                is_refused = not (outcome.admitted or outcome.reached)
            else:
                is_refused = attack.refusal.matches(outcome, operation.rule)
            if not is_refused:
                self._fail(str(operation), f"{outcome}, not {attack.refusal}", attack.name)
        if operation.method != "HEAD":  # its detours are those of GET
            self._take_detours(operation)

    def _take_detours(self, operation: _Operation) -> None:
        """Try to reach the view without a token; only a view that needs none may be reached."""
        for detour in detours(operation.method, unquote(operation.target.path)):
            outcome = self._requests.send(
                operation.target,
                detour.method,
                path=detour.path,
                headers=detour.headers,
                query=detour.query,
            )
            self._attacks += 1
            if outcome.reached and not self._needs_no_token(outcome.reached):
                self._fail(str(operation), str(outcome), detour.name)

    def _needs_no_token(self, reached: tuple[str, str]) -> bool:
        rule = self._rules.get(reached)
        return rule is not None and not rule.needs_caller

    def _admit(self, operation: _Operation) -> None:
        """Send what the rule requires and nothing more: that must get in."""
        if not operation.rule.needs_caller:
            self._gets_in(operation, {})
            return
        tried = []
        for name, headers in self._rule_attacks.right_credentials(operation.rule):
            if headers is None:
                self._not_tried.append(f"{operation} by {name}")
            else:
                tried.append(self._gets_in(operation, headers, f" by {name}"))
        self._admitted += bool(tried) and all(tried)

    def _gets_in(self, operation: _Operation, headers: Headers, by: str = "") -> bool:
        """Return whether a request gets in; add a failure if not."""
        outcome = self._requests.send(operation.target, operation.method, headers=headers)
        has_got_in = _got_in(outcome, (operation.target.endpoint, operation.method))
        if not has_got_in:
            attack = f"what the rule requires{by.removesuffix(f' by {ACCESS_TOKEN}')}"
            self._fail(str(operation), f"{outcome}, and should get in", attack)
        return has_got_in

    def _public(self) -> Iterator[RouteRule]:
        """Yield the public routes; HEAD follows GET."""
        for entry in self._rulebook.matrix():
            if entry.rule.kind == "public" and entry.method != "HEAD":
                yield entry

    def _public_reasons(self) -> dict[str, str]:
        return {_name(entry): entry.rule.reason for entry in self._public()}

    def _is_of_layer(self, endpoint: str) -> bool:
        """Return whether an endpoint is one that the layer brings to somebody's application."""
        blueprint = self._app.blueprints.get(endpoint.rpartition(".")[0])
        is_ours = blueprint is not None and _is_in_package(blueprint.import_name)
        return is_ours and not _is_in_package(self._app.import_name)

    def _fail(self, route: str, outcome: str, attack: str = "-") -> None:
        self._failures.append(Failure(route, attack, outcome))


def _name(entry: RouteRule) -> str:
    return f"{entry.method} {entry.path}"


def _is_in_package(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE


def _got_in(outcome: Outcome, view: tuple[str, str]) -> bool:
    """Return whether a request was let in and reached `view`.

    A hook of the application may have responded instead, unless that was an error of the server:
    the guard around each view raises one if a hook sent the request to another view.
    """
    if outcome.reached:
        return outcome.reached == view
    has_failed = outcome.status is None or outcome.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return outcome.admitted and not has_failed
