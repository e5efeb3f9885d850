"""The gate: before every request, rule -> credential -> caller -> rule.

It is a receiver of Flask's signal `request_started`, which is sent before Flask calls any hook
(`url_value_preprocessor`, `before_request`): whatever registered a route, this stands in front of
it. Hooks that run later cannot get around it either, see `gate.seal`. 404 and 405 stay what they
are; OPTIONS never runs a handler. If anything it needs fails, the answer is 503 and the handler
does not run.
"""

from collections.abc import Callable

from flask import Flask, current_app, request, request_started
from flask.typing import RouteCallable

from itemsapi.gate import options
from itemsapi.gate.authenticate import TokenVerifier, bearer_token
from itemsapi.gate.caller import Caller, forget_callers, note_caller, note_stale_credential
from itemsapi.gate.csrf import CsrfPolicy
from itemsapi.gate.rulebook import Rulebook
from itemsapi.gate.rules import Rule
from itemsapi.gate.seal import Sealed, let_through
from itemsapi.problems import GateUnavailable, Problem, RouteUnguarded, TokenInvalid

EXTENSION = "itemsapi.gate"


class Gate:
    """Stands before every endpoint of one application."""

    def __init__(
        self,
        rulebook: Rulebook,
        verifier: TokenVerifier,
        csrf_policy: CsrfPolicy,
        *,
        count_request: Callable[[str | None], None],
    ) -> None:
        """Take the rules, the judges of tokens and pages, and who counts requests (by user id)."""
        self._rulebook, self._verifier, self._csrf_policy = rulebook, verifier, csrf_policy
        self._paced = count_request
        self.views = Sealed({})

    def install(self, app: Flask) -> None:
        """Stand in front of everything that `app` does with a request, and seal its views.

        Call it when all routes are there. A signal keeps weak references, so `app` keeps the gate.
        """
        self.views = app.view_functions = Sealed(app.view_functions)
        app.extensions[EXTENSION] = self
        options.install(app)
        request_started.connect(self.check_request, sender=app)

    def check_request(self, _app: Flask, **_: object) -> None:
        """Admit the current request, or raise the answer to OPTIONS, or a problem."""
        try:
            self._judge()
        except (Problem, options.Answered):
            raise
        except Exception as error:
            raise GateUnavailable from error

    def _judge(self) -> None:
        forget_callers()
        if request.routing_exception is not None and not options.preflight():
            return
        if request.method == "OPTIONS":
            raise options.answer()
        endpoint, method = request.endpoint or "", request.method
        view = self._view(endpoint)
        self._admit(self._rulebook.rule_for(endpoint, method))
        let_through(view, method)

    def _view(self, endpoint: str) -> RouteCallable | None:
        view = current_app.view_functions.get(endpoint)
        if not self.views.holds(endpoint, view):
            raise RouteUnguarded
        return view

    def _admit(self, rule: Rule) -> None:
        try:
            caller = self._caller(rule)
            rule.check(caller.claims if caller else None)
        except Problem:
            self._count(rule, None)  # who is refused is counted too, by address
            raise
        self._count(rule, caller)
        self._csrf_policy.check(request)
        note_caller(caller)

    def _count(self, rule: Rule, caller: Caller | None) -> None:
        if rule.limited:
            self._paced(caller.user_id if caller else None)

    def _caller(self, rule: Rule) -> Caller | None:
        if rule.kind in {"public", "refresh token"}:
            return None
        try:
            token = bearer_token(request)
            return Caller(self._verifier.verify(token)) if token is not None else None
        except TokenInvalid:
            if rule.accepts_refresh_token:  # signing out twice is no error
                note_stale_credential()
                return None
            raise
