"""Asynchronous views: whether a function is one is found out once, not for each call.

Flask asks `inspect.iscoroutinefunction` for each function that it calls, five times in a request,
and our layers around a view would ask three times more: together that takes longer than the gate.
"""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import flask

from itemsapi.wrapping import ASYNC_MARKS


def synchronous(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return what calls a view, or awaits it in the way of the current application."""
    if not inspect.iscoroutinefunction(view):
        return view

    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the view returns
        """Await the view."""
        return flask.current_app.ensure_sync(view)(*args, **kwargs)

    return call


class Application(flask.Flask):
    """The application of `create_app`."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a plain function as it is; leave all others to Flask."""
        return func if _is_plain(func) else super().ensure_sync(func)


def _is_plain(func: Callable[..., Any]) -> bool:
    """Return whether a function is certainly not asynchronous."""
    return (
        type(func) is FunctionType
        and not func.__code__.co_flags & inspect.CO_COROUTINE
        and not any(mark in vars(func) for mark in ASYNC_MARKS)
    )
