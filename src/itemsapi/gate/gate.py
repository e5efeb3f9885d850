"""The gate: find the rule of a request, authenticate the caller, and check the rule.

It is connected to Flask's signal `request_started`, which is sent before Flask calls any hook
(`url_value_preprocessor`, `before_request`), so it also covers routes registered by others. Later
hooks cannot bypass it, see `guarded_views`. 404 and 405 are left to Flask. The gate responds to
OPTIONS of the layer's routes; an OPTIONS view of the application needs a rule, as any view. If
anything the gate needs fails, the response is 503 and the view does not run.
"""

import threading
from collections.abc import Callable

from flask import Flask, Request, Response, request_started
from flask.typing import RouteCallable

from itemsapi.clock import Clock, unix_seconds
from itemsapi.gate.caller import (
    Caller,
    clear_caller,
    mark_stale_credential,
    optional_caller,
    set_caller,
)
from itemsapi.gate.credentials import Credentials
from itemsapi.gate.csrf import CsrfPolicy
from itemsapi.gate.guarded_views import (
    GuardedViews,
    UnsealedViews,
    current_request,
    mark_admitted,
)
from itemsapi.gate.request_claims import keep_claims_by_request
from itemsapi.gate.responses import (
    GateResponse,
    is_answered_by_flask,
    is_preflight,
    options_response,
    register_response_handlers,
)
from itemsapi.gate.route_rules import RulesByKey
from itemsapi.gate.rulebook import Rulebook, RulesInvalid
from itemsapi.gate.rules import Rule
from itemsapi.gate.without_gate import GATE
from itemsapi.observability.logging import log
from itemsapi.problems import Challenge, GateUnavailable, Problem, RouteUnguarded, TokenInvalid
from itemsapi.tokens.scopes import ScopeRegistry


class Gate:
    """Checks every request of one application."""

    def __init__(  # noqa: PLR0913 - the checks, and how the application responds
        self,
        credentials: Credentials,
        csrf_policy: CsrfPolicy,
        *,
        clock: Clock,
        rules: RulesByKey,
        scope_registry: ScopeRegistry,
        count_request: Callable[[str | None], None],
        respond: Callable[[Problem], Response],
        treats_as_layer: Callable[[], bool],
        on_seal: Callable[[Flask, Rulebook], None],
    ) -> None:
        """Take the checks.

        `rules` are those of routes without a decorator. `count_request` raises if a user (by id) or
        address is over its rate. `respond` makes the response to a problem. `treats_as_layer`
        tells whether the current request is for the layer: then the gate responds to OPTIONS and
        counts requests for public routes, which it leaves to Flask and the application otherwise.
        `on_seal` is called once, when the application is complete.
        """
        self.credentials, self._csrf_policy, self._rules = credentials, csrf_policy, rules
        self._clock = clock
        self._scope_registry = scope_registry
        self._count_request, self.respond = count_request, respond
        self._treats_as_layer, self._on_seal = treats_as_layer, on_seal
        self._rulebook: Rulebook | None = None
        self._sealing = threading.Lock()
        self.views: GuardedViews | None = None

    def connect(self, app: Flask) -> None:
        """Check every request of `app` from now on.

        A signal keeps weak references only, so `app` keeps the gate.
        """
        app.extensions[GATE], self.app = self, app
        app.view_functions = UnsealedViews(app.view_functions, self.respond)
        request_started.connect(self.check_request, sender=app)
        keep_claims_by_request(app)

    def seal(self, app: Flask) -> Rulebook:
        """Read the rules of all routes and guard all views; routes added later are refused."""
        with self._sealing:
            if self._rulebook is None:
                rulebook = Rulebook(app, self._rules, self.credentials.names)
                self._scope_registry.register(rulebook.scopes.values())
                self.views = app.view_functions = GuardedViews(
                    app, app.view_functions, self.respond
                )
                register_response_handlers(app)
                keep_claims_by_request(app)  # the application may have replaced its class of `g`
                self._on_seal(app, rulebook)
                self._rulebook = rulebook
            return self._rulebook

    def check_request(self, app: Flask, **_: object) -> None:
        """Admit the current request, or raise the response of the gate."""
        self._run_checks(
            lambda: self._check(
                app, current_request(), self._rulebook or self._seal_at_first_request(app)
            )
        )

    def admit(self, app: Flask, rule: Rule) -> Caller | None:
        """Admit the current request by a rule that belongs to no route, and return its caller.

        Raise the response of the gate, also for a scope that the application does not know.
        """
        self._run_checks(lambda: self._admit_known(app, rule))
        return optional_caller()

    def _admit_known(self, app: Flask, rule: Rule) -> None:
        clear_caller(current_request())
        self.seal(app)  # then the scopes of all routes are known
        if rule.scope_names - self._scope_registry.names:
            raise RouteUnguarded
        self._admit(current_request(), rule)

    def _run_checks(self, checks: Callable[[], None]) -> None:
        try:
            checks()
        except (GateResponse, RulesInvalid):
            raise
        except Problem as problem:
            raise GateResponse(self.respond(problem)) from problem
        except Exception as error:
            unavailable = GateUnavailable()
            unavailable.__cause__ = error
            raise GateResponse(self.respond(unavailable)) from error

    def _seal_at_first_request(self, app: Flask) -> Rulebook:
        """Seal an application whose factory did not; log the faults of its rules."""
        rulebook = self.seal(app)
        for fault in rulebook.faults:
            log.error("access_rule_fault", fault=fault)
        return rulebook

    def _check(self, app: Flask, request: Request, rulebook: Rulebook) -> None:
        clear_caller(request)
        if request.method == "OPTIONS" and self._treats_as_layer():
            if request.routing_exception is None or is_preflight(request):
                _raise_if_any(options_response())
        elif request.routing_exception is None and not is_answered_by_flask(request):
            view, method = self._view(app, request.endpoint or ""), request.method
            rule = _rule_for(app, rulebook, request)
            self._admit(request, rule)
            mark_admitted(request, view, method, rule)

    def _view(self, app: Flask, endpoint: str) -> RouteCallable | None:
        view = app.view_functions.get(endpoint)
        if self.views is None or not self.views.is_from_boot(endpoint, view):
            raise RouteUnguarded
        return view

    def _admit(self, request: Request, rule: Rule) -> None:
        caller = None
        try:
            caller = self._authenticate(request, rule)
            rule.check(caller)
            if rule.within_seconds is not None:
                rule.check_sign_in(caller, unix_seconds(self._clock()))
        except Challenge as problem:
            problem.schemes = self.credentials.schemes(rule)
            raise
        finally:
            self._count(rule, caller)  # rejected requests too, by address if there is no caller
        if self._treats_as_layer():
            self._csrf_policy.check(request)
        set_caller(request, caller)

    def _count(self, rule: Rule, caller: Caller | None) -> None:
        if rule.limited and (rule.kind != "public" or self._treats_as_layer()):
            self._count_request(caller.user_id if caller else None)

    def _authenticate(self, request: Request, rule: Rule) -> Caller | None:
        if rule.kind in {"public", "refresh token"}:
            return None
        try:
            return self.credentials.authenticate(request, rule)
        except TokenInvalid:
            if rule.accepts_refresh_token:  # signing out twice is not an error
                mark_stale_credential(request)
                return None
            raise


def _raise_if_any(response: GateResponse | None) -> None:
    if response is not None:
        raise response


def _rule_for(app: Flask, rulebook: Rulebook, request: Request) -> Rule:
    """Return the rule of a route; tell a developer by `RulesInvalid` what is missing."""
    fault = rulebook.faults_by_endpoint.get((request.endpoint or "", request.method))
    if fault and (app.testing or app.debug):
        raise RulesInvalid(fault)
    return rulebook.rule_for(request.url_rule, request.method)
