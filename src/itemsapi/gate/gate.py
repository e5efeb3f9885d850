"""The gate: find the rule of a request, authenticate the caller, and check the rule.

It is connected to Flask's signal `request_started`, which is sent before Flask calls any hook
(`url_value_preprocessor`, `before_request`), so it also covers routes registered by others. Later
hooks cannot bypass it, see `GuardedViews`. 404 and 405 are left to Flask. The gate responds to
OPTIONS of the layer's routes; an OPTIONS view of the application needs a rule, as any view. If
anything the gate needs fails, the response is 503 and the view does not run.
"""

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

from flask import (
    Flask,
    Request,
    Response,
    current_app,
    has_request_context,
    request,
    request_started,
)
from flask.typing import ResponseReturnValue, RouteCallable
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

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
from itemsapi.gate.route_rules import RulesByKey
from itemsapi.gate.rulebook import Rulebook, RulesInvalid
from itemsapi.gate.rules import Rule
from itemsapi.gate.without_gate import GATE
from itemsapi.observability.context import RequestContext, read_request_context, set_fallback
from itemsapi.observability.logging import log
from itemsapi.problems import Challenge, GateUnavailable, Problem, RouteUnguarded, TokenInvalid
from itemsapi.tokens.scopes import ScopeRegistry

ADMITTED = "itemsapi_admitted"


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
        is_layer_request: Callable[[], bool],
        on_seal: Callable[[Flask, Rulebook], None],
    ) -> None:
        """Take the checks.

        `rules` are those of routes without a decorator. `count_request` raises if a user (by id) or
        address is over its rate. `respond` makes the response to a problem. `is_layer_request`
        tells whether the current request is for the layer: then the gate responds to OPTIONS and
        counts requests for public routes, which it leaves to Flask and the application otherwise.
        `on_seal` is called once, when the application is complete.
        """
        self.credentials, self._csrf_policy, self._rules = credentials, csrf_policy, rules
        self._clock = clock
        self._scope_registry = scope_registry
        self._count_request, self.respond = count_request, respond
        self._is_layer_request, self._on_seal = is_layer_request, on_seal
        self._rulebook: Rulebook | None = None
        self._sealing = threading.Lock()
        self.views: GuardedViews | None = None

    def connect(self, app: Flask) -> None:
        """Check every request of `app` from now on.

        A signal keeps weak references only, so `app` keeps the gate.
        """
        app.extensions[GATE] = self
        request_started.connect(self.check_request, sender=app)

    def seal(self, app: Flask) -> Rulebook:
        """Read the rules of all routes and guard all views; routes added later are refused."""
        with self._sealing:
            if self._rulebook is None:
                rulebook = Rulebook(app, self._rules, self.credentials.names)
                self._scope_registry.register(rulebook.scopes.values())
                self.views = app.view_functions = GuardedViews(
                    app, app.view_functions, self.respond
                )
                _register_response_handlers(app)
                self._on_seal(app, rulebook)
                self._rulebook = rulebook
            return self._rulebook

    def check_request(self, app: Flask, **_: object) -> None:
        """Admit the current request, or raise the response of the gate."""
        self._run_checks(
            lambda: self._check(app, current_request(), self._rulebook or self._seal_unchecked(app))
        )

    def admit(self, app: Flask, rule: Rule) -> Caller | None:
        """Admit the current request by a rule that belongs to no route, and return its caller.

        Raise the response of the gate, also for a scope that the application does not know.
        """
        self._run_checks(lambda: self._admit_known(app, rule))
        return optional_caller()

    def _admit_known(self, app: Flask, rule: Rule) -> None:
        clear_caller()
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

    def _seal_unchecked(self, app: Flask) -> Rulebook:
        """Seal an application whose factory did not; log the faults of its rules."""
        rulebook = self.seal(app)
        for fault in rulebook.faults:
            log.error("access_rule_fault", fault=fault)
        return rulebook

    def _check(self, app: Flask, request: Request, rulebook: Rulebook) -> None:
        clear_caller()
        if request.method == "OPTIONS" and self._is_layer_request():
            if request.routing_exception is None or is_preflight(request):
                raise options_response()
        elif request.routing_exception is None and not has_automatic_options(request):
            endpoint, method = request.endpoint or "", request.method
            view = self._view(app, endpoint)
            rule = _rule_for(app, rulebook, endpoint, method)
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
        if self._is_layer_request():
            self._csrf_policy.check(request)
        set_caller(request, caller)

    def _count(self, rule: Rule, caller: Caller | None) -> None:
        if rule.limited and (rule.kind != "public" or self._is_layer_request()):
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


def current_request() -> Request:
    """Return the request itself: each access to an attribute of Flask's proxy looks it up anew."""
    return request._get_current_object()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - documented


def _rule_for(app: Flask, rulebook: Rulebook, endpoint: str, method: str) -> Rule:
    """Return the rule of a route; tell a developer by `RulesInvalid` what is missing."""
    fault = rulebook.faults_by_route.get((endpoint, method))
    if fault and (app.testing or app.debug):
        raise RulesInvalid(fault)
    return rulebook.rule_for(endpoint, method)


# The request context. The middleware of `create_app` sets it. Without the middleware it is read
# from the request when something asks for it first, which most requests never do.

REQUEST_CONTEXT = "itemsapi_request_context"


def _context_of_request() -> RequestContext | None:
    """Return the context of the current request; None if there is none."""
    if not has_request_context():
        return None
    context = getattr(request, REQUEST_CONTEXT, None)
    if not isinstance(context, RequestContext):
        context = read_request_context(request.environ)
        setattr(request, REQUEST_CONTEXT, context)
    return context


set_fallback(_context_of_request)


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

    def __init__(
        self,
        app: Flask,
        views: Mapping[str, RouteCallable],
        respond: Callable[[Problem], Response],
    ) -> None:
        """Wrap each of `views` in the check; `respond` makes the response to a failed one."""
        self._at_boot = {
            endpoint: _guarded(app, endpoint, view, respond) for endpoint, view in views.items()
        }
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


NOT_ADMITTED: tuple[object, str, Rule | None] = (None, "", None)


def mark_admitted(request: Request, view: object, method: str, rule: Rule) -> None:
    """Permit the request to run `view` with this method, by this rule."""
    setattr(request, ADMITTED, (view, method, rule))


def _guarded(
    app: Flask, endpoint: str, view: RouteCallable, respond: Callable[[Problem], Response]
) -> RouteCallable:
    """Return `view` behind the check; it keeps `__wrapped__`, which rules and OpenAPI need."""
    synchronous = functools.cache(lambda: app.ensure_sync(view))  # when it is first needed

    @functools.wraps(view)
    def guarded(**view_args: Any) -> ResponseReturnValue:
        """Run the view for the request that passed the gate to it."""
        request = current_request()
        admitted, method, rule = getattr(request, ADMITTED, NOT_ADMITTED)
        if admitted is not guarded or method != request.method or rule is None:
            raise GateUnavailable(cause=f"gate: {endpoint} was reached without passing it")
        if rule.on is not None:
            try:
                rule.on.require(view_args, app.ensure_sync)
            except Problem as problem:
                raise GateResponse(respond(problem)) from problem
        response: ResponseReturnValue = synchronous()(**view_args)
        return response

    return guarded


# Responses of the gate. A receiver of a signal cannot return a response, it can only raise. The
# response is therefore an exception: Flask returns an HTTP exception without a code unchanged and
# calls no error handler, so no handler of the application changes it.


class GateResponse(HTTPException):
    """The response to a rejected request or to OPTIONS, raised by the gate."""

    def __init__(self, response: Response) -> None:
        """Take the response."""
        super().__init__(response=response)
        self.gate_response = response


def _register_response_handlers(app: Flask) -> None:
    """Register error handlers that return the response, needed with `TRAP_HTTP_EXCEPTIONS`.

    Handlers of a blueprint come first and may handle every exception, so each blueprint gets one.
    """
    for name in (None, *app.blueprints):
        app.error_handler_spec[name][None][GateResponse] = lambda error: error.gate_response


def has_automatic_options(request: Request) -> bool:
    """Tell whether Flask responds to this OPTIONS request itself, without running a view."""
    if request.method != "OPTIONS":
        return False
    return bool(getattr(request.url_rule, "provide_automatic_options", False))


def is_preflight(request: Request) -> bool:
    """Return whether this is a CORS preflight.

    A preflight must not fail with 404: then the page could not read the 404 of the real request.
    """
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def options_response() -> GateResponse:
    """Return the response that lists the allowed methods; `rest` adds the CORS headers."""
    adapter = cast("MapAdapter", current_app.create_url_adapter(request))
    allow = ", ".join(adapter.allowed_methods()) or "OPTIONS"
    return GateResponse(Response(status=204, headers={"Allow": allow}))
