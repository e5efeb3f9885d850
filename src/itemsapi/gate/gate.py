"""The gate: find the rule of a request, authenticate the caller, and check the rule.

It is connected to Flask's signal `request_started`, which is sent before Flask calls any hook
(`url_value_preprocessor`, `before_request`), so it also covers routes registered by others. Later
hooks cannot bypass it, see `gate.guarded_views`. 404 and 405 are left to Flask; OPTIONS never runs
a handler. If anything the gate needs fails, the response is 503 and the handler does not run.
"""

from collections.abc import Callable

from flask import Flask, current_app, request, request_started
from flask.typing import RouteCallable

from itemsapi.gate import options
from itemsapi.gate.authenticate import TokenVerifier, bearer_token
from itemsapi.gate.caller import Caller, clear_caller, mark_stale_credential, set_caller
from itemsapi.gate.csrf import CsrfPolicy
from itemsapi.gate.guarded_views import GuardedViews, mark_admitted
from itemsapi.gate.rulebook import Rulebook
from itemsapi.gate.rules import Rule
from itemsapi.problems import GateUnavailable, Problem, RouteUnguarded, TokenInvalid

EXTENSION = "itemsapi.gate"


class Gate:
    """Checks every request of one application."""

    def __init__(
        self,
        rulebook: Rulebook,
        verifier: TokenVerifier,
        csrf_policy: CsrfPolicy,
        *,
        count_request: Callable[[str | None], None],
    ) -> None:
        """Take the checks; `count_request` raises if a user (by id) or address is over its rate."""
        self._rulebook, self._verifier, self._csrf_policy = rulebook, verifier, csrf_policy
        self._count_request = count_request
        self.views = GuardedViews({})

    def install(self, app: Flask) -> None:
        """Connect to the request signal of `app` and guard its views.

        Call it when all routes are registered. A signal keeps weak references only, so `app` keeps
        the gate.
        """
        self.views = app.view_functions = GuardedViews(app.view_functions)
        app.extensions[EXTENSION] = self
        options.install(app)
        request_started.connect(self.check_request, sender=app)

    def check_request(self, _app: Flask, **_: object) -> None:
        """Admit the current request, or raise a problem or the response to OPTIONS."""
        try:
            self._check()
        except (Problem, options.OptionsResponse):
            raise
        except Exception as error:
            raise GateUnavailable from error

    def _check(self) -> None:
        clear_caller()
        if request.routing_exception is not None and not options.is_preflight():
            return
        if request.method == "OPTIONS":
            raise options.options_response()
        endpoint, method = request.endpoint or "", request.method
        view = self._view(endpoint)
        self._admit(self._rulebook.rule_for(endpoint, method))
        mark_admitted(view, method)

    def _view(self, endpoint: str) -> RouteCallable | None:
        view = current_app.view_functions.get(endpoint)
        if not self.views.is_from_boot(endpoint, view):
            raise RouteUnguarded
        return view

    def _admit(self, rule: Rule) -> None:
        try:
            caller = self._authenticate(rule)
            rule.check(caller.claims if caller else None)
        except Problem:
            self._count(rule, None)  # rejected requests count too, by address
            raise
        self._count(rule, caller)
        self._csrf_policy.check(request)
        set_caller(caller)

    def _count(self, rule: Rule, caller: Caller | None) -> None:
        if rule.limited:
            self._count_request(caller.user_id if caller else None)

    def _authenticate(self, rule: Rule) -> Caller | None:
        if rule.kind in {"public", "refresh token"}:
            return None
        try:
            token = bearer_token(request)
            return Caller(self._verifier.verify(token)) if token is not None else None
        except TokenInvalid:
            if rule.accepts_refresh_token:  # signing out twice is not an error
                mark_stale_credential()
                return None
            raise
