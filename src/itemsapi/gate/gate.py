"""The gate: before every request, rule -> credential -> caller -> rule.

It runs before all that Flask does before a request (`before_request`, `url_value_preprocessor`), so
whatever registered a route, this stands in front of it. 404 and 405 stay what they are; OPTIONS
never runs a handler. If anything it needs fails, the answer is 503 and the handler does not run.
"""

from collections.abc import Callable

from flask import Flask, Response, current_app, request
from flask.typing import ResponseReturnValue

from itemsapi.gate.browser import Doorman
from itemsapi.gate.caller import Caller, forget_callers, note_caller, note_stale_credential
from itemsapi.gate.credentials import bearer
from itemsapi.gate.rulebook import Rulebook
from itemsapi.gate.rules import Rule
from itemsapi.gate.verify import Verifier
from itemsapi.observe import log
from itemsapi.problems import GateUnavailable, Problem, RouteUnguarded, TokenInvalid


class Gate:
    """Stands before every endpoint of one application."""

    def __init__(
        self,
        rulebook: Rulebook,
        verifier: Verifier,
        doorman: Doorman,
        *,
        paced: Callable[[str | None], None],
    ) -> None:
        """Take the rules, the judges of tokens and pages, and who counts requests (by user id)."""
        self._rulebook, self._verifier, self._doorman = rulebook, verifier, doorman
        self._paced = paced

    def install(self, app: Flask) -> None:
        """Stand in front of everything that `app` does before a request."""
        then = app.preprocess_request

        def preprocess() -> ResponseReturnValue | None:
            answer = self.stand()
            return then() if answer is None else answer

        app.preprocess_request = preprocess  # type: ignore[method-assign]  # no hook comes earlier

    def stand(self) -> Response | None:
        """Let the request of this moment in, answer it, or raise why not."""
        forget_callers()
        if request.routing_exception is not None and not _preflight():
            return None
        if request.method == "OPTIONS":
            return _options()
        try:
            self._admit(self._rule())
        except Problem:
            raise
        except Exception as error:
            log.exception("gate_failed")
            raise GateUnavailable from error
        return None

    def _rule(self) -> Rule:
        endpoint = request.endpoint or ""
        if not self._rulebook.holds(endpoint, current_app.view_functions.get(endpoint)):
            raise RouteUnguarded
        return self._rulebook.rule_for(endpoint, request.method)

    def _admit(self, rule: Rule) -> None:
        try:
            caller = self._caller(rule)
            rule.check(caller.claims if caller else None)
        except Problem:
            self._paced(None)  # who is refused is counted too, by address
            raise
        self._paced(caller.user_id if caller else None)
        self._doorman.check(request)
        note_caller(caller)

    def _caller(self, rule: Rule) -> Caller | None:
        if rule.kind in {"public", "refresh token"}:
            return None
        try:
            token = bearer(request)
            return Caller(self._verifier.verify(token)) if token is not None else None
        except TokenInvalid:
            if rule.takes_refresh_token:  # signing out twice is no error
                note_stale_credential()
                return None
            raise


def _preflight() -> bool:
    """Tell whether a browser asks first; after a 404 here no page could read the real one."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _options() -> Response:
    """Say which methods the address takes; what a preflight asks beside that, `rest.cors` adds."""
    allow = current_app.make_default_options_response().headers.get("Allow", "OPTIONS")
    response = Response(status=204, headers={"Allow": allow})
    del response.headers["Content-Type"]
    return response
