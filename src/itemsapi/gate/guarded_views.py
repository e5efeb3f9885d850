"""Guarded views: a view runs only for a request that the gate admitted to this very view.

The gate runs before everything else, so hooks of the same process run after it. A hook may dispatch
the request to another endpoint or change its method; code may mute the signal that the gate is
connected to, or dispatch a request itself. Therefore the gate marks the request, and every view
function checks that mark. The mark names the view and the method. It is an attribute of the request
object, because a request made inside another one has its own object but may share the WSGI
environment.
"""

import functools
from collections.abc import Mapping
from typing import Any

from flask import current_app, request
from flask.typing import ResponseReturnValue, RouteCallable

from itemsapi.problems import GateUnavailable, RouteUnguarded

ADMITTED = "itemsapi_admitted"


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
        """Tell whether `view` is the one that the endpoint had at boot."""
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
