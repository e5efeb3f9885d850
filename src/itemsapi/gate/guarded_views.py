"""Guarded views: a view runs only for a request that the gate admitted to this very view.

The gate runs before everything else, so hooks of the same process run after it. A hook may dispatch
the request to another endpoint or change its method; code may mute the signal that the gate is
connected to, or dispatch a request itself. Therefore the gate marks the request, and every view
function checks that mark. The mark names the view and the method. It is an attribute of the request
object, because a request made inside another one has its own object but may share the WSGI
environment.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from flask import Flask, Request, Response, current_app, has_request_context, request
from flask.typing import ResponseReturnValue, RouteCallable

from itemsapi.gate.responses import GateResponse
from itemsapi.gate.rules import Rule
from itemsapi.problems import GateUnavailable, Problem, RouteUnguarded
from itemsapi.wrapping import wraps

ADMITTED = "itemsapi_admitted"  # of the request object: the view, the method and the rule
NOT_ADMITTED: tuple[object, str, Rule | None] = (None, "", None)


def current_request() -> Request:
    """Return the request itself: each access to an attribute of Flask's proxy looks it up anew."""
    return request._get_current_object()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - documented


class UnsealedViews(dict[str, RouteCallable]):
    """The view functions of an application before it is sealed: no request reaches them.

    The first request seals the application, so one that finds these views passed no gate: the
    signal was muted, or the request was dispatched by hand, or by a copy of the application.
    Whoever reads or replaces a view outside a request of this application does so as before.
    """

    def __init__(
        self, views: Mapping[str, RouteCallable], respond: Callable[[Problem], Response]
    ) -> None:
        """Take the views; `respond` makes the response to a request that finds them."""
        super().__init__(views)
        self._respond = respond

    def __getitem__(self, endpoint: str) -> RouteCallable:
        """Return a view. Raise `GateResponse`, a 503, in a request of this application."""
        if has_request_context() and current_app.view_functions is self:
            _refuse(_reached_without_gate(endpoint), self._respond)
        return super().__getitem__(endpoint)


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
        self._respond = respond

    def __getitem__(self, endpoint: str) -> RouteCallable:
        """Return the view of an endpoint.

        Raise `GateResponse`, a 403, if it was added after boot; outside a request `RouteUnguarded`.
        """
        view = super().__getitem__(endpoint)
        if not self.is_from_boot(endpoint, view):
            _refuse(RouteUnguarded(), self._respond)
        return view

    def is_from_boot(self, endpoint: str, view: object) -> bool:
        """Return whether `view` is the one that the endpoint had at boot."""
        return self._at_boot.get(endpoint) is view


def mark_admitted(request: Request, view: object, method: str, rule: Rule) -> None:
    """Permit the request to run `view` with this method, by this rule."""
    setattr(request, ADMITTED, (view, method, rule))


def _guarded(
    app: Flask, endpoint: str, view: RouteCallable, respond: Callable[[Problem], Response]
) -> RouteCallable:
    """Return `view` behind the check; it keeps `__wrapped__`, which rules and OpenAPI need."""
    synchronous = functools.cache(lambda: app.ensure_sync(view))  # when it is first needed

    @wraps(view)
    def guarded(**view_args: Any) -> ResponseReturnValue:
        request = current_request()
        admitted, method, rule = getattr(request, ADMITTED, NOT_ADMITTED)
        if admitted is not guarded or method != request.method or rule is None:
            _refuse(_reached_without_gate(endpoint), respond)
        try:
            if rule.on is not None:
                rule.on.require(view_args, app.ensure_sync)
        except Problem as problem:
            _refuse(problem, respond)
        else:
            response: ResponseReturnValue = synchronous()(**view_args)
            return response

    return guarded


def _reached_without_gate(endpoint: str) -> GateUnavailable:
    return GateUnavailable(cause=f"gate: {endpoint} was reached without passing it")


def _refuse(problem: Problem, respond: Callable[[Problem], Response]) -> NoReturn:
    """Raise the response to a problem, which needs no error handler of the application."""
    if not has_request_context():
        raise problem
    raise GateResponse(respond(problem)) from problem
