"""The gate: find the rule of a request, authenticate the caller, and check the rule.

It is connected to Flask's signal `request_started`, which is sent before Flask calls any hook
(`url_value_preprocessor`, `before_request`), so it also covers routes registered by others. Later
hooks cannot bypass it, see `GuardedViews`. 404 and 405 are left to Flask; OPTIONS never runs a
handler. If anything the gate needs fails, the response is 503 and the handler does not run.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

from flask import Flask, Response, current_app, request, request_started
from flask.typing import ResponseReturnValue, RouteCallable
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from itemsapi.gate.authenticate import TokenVerifier, bearer_token
from itemsapi.gate.caller import Caller, clear_caller, mark_stale_credential, set_caller
from itemsapi.gate.csrf import CsrfPolicy
from itemsapi.gate.rulebook import Rulebook
from itemsapi.gate.rules import Rule
from itemsapi.problems import GateUnavailable, Problem, RouteUnguarded, TokenInvalid

EXTENSION = "itemsapi.gate"
ADMITTED = "itemsapi_admitted"


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
        _register_options_handlers(app)
        request_started.connect(self.check_request, sender=app)

    def check_request(self, _app: Flask, **_: object) -> None:
        """Admit the current request, or raise a problem or the response to OPTIONS."""
        try:
            self._check()
        except (Problem, OptionsResponse):
            raise
        except Exception as error:
            raise GateUnavailable from error

    def _check(self) -> None:
        clear_caller()
        if request.routing_exception is not None and not is_preflight():
            return
        if request.method == "OPTIONS":
            raise options_response()
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
        caller = None
        try:
            caller = self._authenticate(rule)
            rule.check(caller.claims if caller else None)
        finally:
            self._count(rule, caller)  # rejected requests too, by address if there is no caller
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


# Guarded views: a view runs only for a request that the gate admitted to this very view.
#
# The gate runs before everything else, so hooks of the same process run after it. A hook may
# dispatch the request to another endpoint or change its method; code may mute the signal that the
# gate is connected to, or dispatch a request itself. Therefore the gate marks the request, and
# every view function checks that mark. The mark names the view and the method. It is an attribute
# of the request object, because a request made inside another one has its own object but may share
# the WSGI environment.


class GuardedViews(dict[str, RouteCallable]):
    """The view functions of an application at boot, each behind a check.

    Flask takes the function from here when it calls a view. A view that was added later has no rule
    and is not returned.
    """

    def __init__(self, views: Mapping[str, RouteCallable]) -> None:
        """Wrap each of `views` in the check."""
        self._at_boot = {endpoint: _guarded(endpoint, view) for endpoint, view in views.items()}
        super().__init__(self._at_boot)

    def __getitem__(self, endpoint: str) -> RouteCallable:
        """Return the view of an endpoint. Raise `RouteUnguarded` if it was added after boot."""
        view = super().__getitem__(endpoint)
        if not self.is_from_boot(endpoint, view):
            raise RouteUnguarded
        return view

    def is_from_boot(self, endpoint: str, view: object) -> bool:
        """Return whether `view` is the one that the endpoint had at boot."""
        return self._at_boot.get(endpoint) is view


def mark_admitted(view: object, method: str) -> None:
    """Permit the current request to run `view` with this method."""
    setattr(request, ADMITTED, (view, method))


def _guarded(endpoint: str, view: RouteCallable) -> RouteCallable:
    """Return `view` behind the check; it keeps `__wrapped__`, which rules and OpenAPI need."""

    @functools.wraps(view)
    def guarded(**view_args: Any) -> ResponseReturnValue:
        if getattr(request, ADMITTED, None) != (guarded, request.method):
            raise GateUnavailable(cause=f"gate: {endpoint} was reached without passing it")
        response: ResponseReturnValue = current_app.ensure_sync(view)(**view_args)
        return response

    return guarded


# OPTIONS: the gate responds to it, so that neither a hook nor a handler runs.
#
# A receiver of a signal cannot return a response, it can only raise. The response is therefore an
# exception: Flask returns an HTTP exception without a code unchanged and calls no error handler.


class OptionsResponse(HTTPException):
    """The response to OPTIONS, raised by the gate."""

    def __init__(self, response: Response) -> None:
        """Take the response."""
        super().__init__(response=response)
        self.options_response = response


def _register_options_handlers(app: Flask) -> None:
    """Register error handlers that return the response, needed with `TRAP_HTTP_EXCEPTIONS`.

    Handlers of a blueprint come first and may handle every exception, so each blueprint gets one.
    """
    for name in (None, *app.blueprints):
        app.error_handler_spec[name][None][OptionsResponse] = lambda error: error.options_response


def is_preflight() -> bool:
    """Return whether this is a CORS preflight.

    A preflight must not fail with 404: then the page could not read the 404 of the real request.
    """
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def options_response() -> OptionsResponse:
    """Return the response that lists the allowed methods; `rest` adds the CORS headers."""
    adapter = cast("MapAdapter", current_app.create_url_adapter(request))
    allow = ", ".join(adapter.allowed_methods()) or "OPTIONS"
    return OptionsResponse(Response(status=204, headers={"Allow": allow}))
