"""The seal: a view runs only for a request that the gate let through to this very view.

The gate stands before everything else, so hooks of the same process run behind it. One of them may
send the request on to another endpoint, or give it another method; somebody may mute the signal
that the gate listens to, or dispatch a request by hand. So the gate marks the request, and around
each view function stands a check of that mark. It names the view and the method, and it is kept on
the request object: a request that is made inside another has an object of its own, though it may
share the WSGI environment.
"""

import functools
from collections.abc import Mapping
from typing import Any

from flask import current_app, request
from flask.typing import ResponseReturnValue, RouteCallable

from itemsapi.problems import GateUnavailable, RouteUnguarded

PASSED = "itemsapi_passed"


class Sealed(dict[str, RouteCallable]):
    """The view functions of an application as they were at boot, each behind a check.

    Flask takes the function from here when it calls a view. One that came later has no rule that
    anybody read, so it is not handed out.
    """

    def __init__(self, views: Mapping[str, RouteCallable]) -> None:
        """Put a check around each of `views`."""
        self._at_boot = {endpoint: _checked(endpoint, view) for endpoint, view in views.items()}
        super().__init__(self._at_boot)

    def __getitem__(self, endpoint: str) -> RouteCallable:
        """Return the view of an endpoint. Raises `RouteUnguarded` for one that came after boot."""
        view = super().__getitem__(endpoint)
        if not self.holds(endpoint, view):
            raise RouteUnguarded
        return view

    def holds(self, endpoint: str, view: object) -> bool:
        """Tell whether the view of an endpoint is the one whose rules were read."""
        return self._at_boot.get(endpoint) is view


def let_through(view: object, method: str) -> None:
    """Mark the request of this moment: it may run `view`, with this method."""
    setattr(request, PASSED, (view, method))


def _checked(endpoint: str, view: RouteCallable) -> RouteCallable:
    """Return `view` behind the check; rules and documentation are still found through it."""

    @functools.wraps(view)
    def checked(**view_args: Any) -> ResponseReturnValue:
        if getattr(request, PASSED, None) != (checked, request.method):
            raise GateUnavailable(cause=f"gate: {endpoint} was reached without passing it")
        answer: ResponseReturnValue = current_app.ensure_sync(view)(**view_args)
        return answer

    return checked
