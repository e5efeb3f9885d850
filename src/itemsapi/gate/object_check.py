"""Object checks: whether the caller may reach the object that the request is about.

    def owns_order(order_id):
        return orders.owner_of(order_id) == current_caller().user_id

    @app.get("/orders/<int:order_id>")
    @requires(ORDERS_READ, on=owns_order)
    def show_order(order_id): ...

The function returns True or False. After False the response is the 404 of an object that does not
exist, so that nobody learns which objects exist (S-081). It should return False for an object that
does not exist, too: then both get the same response at the same place.

It runs right before the view and with the arguments of the view, because a hook may change those.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.exceptions import HTTPException

from itemsapi.problems import GateUnavailable, NotFound, Problem

Check = Callable[..., object]  # returns a bool, or a coroutine of one


class ObjectCheck:
    """A function that decides about an object, and the arguments of the view that it takes."""

    def __init__(self, function: object) -> None:
        """Read the parameters of the function. Raise `TypeError` unless all can be names."""
        if not callable(function):
            msg = f"on={function!r} is no function; pass the function itself, without parentheses"
            raise TypeError(msg)
        self.function = function
        self.name = str(getattr(function, "__name__", type(function).__name__))
        parameters = inspect.signature(function).parameters.values()
        kinds = {parameter.kind for parameter in parameters}
        if kinds & {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}:
            msg = (
                f"on={self.name} takes arguments without a name; it gets those of the view by name"
            )
            raise TypeError(msg)
        self._takes_all = inspect.Parameter.VAR_KEYWORD in kinds
        named = [one for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]
        self._names = frozenset(one.name for one in named)
        self.required = frozenset(one.name for one in named if one.default is one.empty)

    def require(
        self, view_args: Mapping[str, Any], ensure_sync: Callable[[Check], Callable[..., Any]]
    ) -> None:
        """Return if the caller may reach the object.

        Raise `NotFound` if not, and `GateUnavailable` if the function fails or returns anything
        but True and False: a forgotten `return` or `await` must open nothing.
        """
        taken = {n: value for n, value in view_args.items() if self._takes_all or n in self._names}
        try:
            found = ensure_sync(self.function)(**taken)
        except Exception as error:
            raise _problem_of(error) from error
        if found is False:
            raise NotFound
        if found is not True:
            kind = type(found).__name__
            if inspect.iscoroutine(found):
                found.close()
            raise GateUnavailable(cause=f"gate: on={self.name} returned {kind}, not True or False")


def _problem_of(error: Exception) -> Problem:
    """Return the problem of a failed check: not found, unavailable, or else unavailable."""
    if isinstance(error, Problem) and error.status in {404, 503}:
        return error
    if isinstance(error, HTTPException) and error.code == NotFound.status:
        return NotFound()
    return GateUnavailable()
