"""Signatures: functions of an application that are called later, and those around its views."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Wrapper = TypeVar("Wrapper", bound=Callable[..., Any])
# What marks a function as asynchronous: `inspect.markcoroutinefunction`, and asgiref before it.
ASYNC_MARKS = ("_is_coroutine_marker", "_is_coroutine")


def wraps(view: Callable[..., Any]) -> Callable[[Wrapper], Wrapper]:
    """Do what `functools.wraps` does, for a function that calls an asynchronous view itself.

    It copies no mark: Flask would await what the wrapper returns.
    """

    def decorate(wrapper: Wrapper) -> Wrapper:
        """Copy the names and attributes of the view."""
        functools.update_wrapper(wrapper, view)
        for mark in ASYNC_MARKS:
            vars(wrapper).pop(mark, None)
        return wrapper

    return decorate


def require_one_argument(function: object, what: str, advice: str) -> None:
    """Raise `TypeError` unless a function can be called with one argument by position.

    `what` names it, and `advice` says what it has to take. A function of C code may have no
    signature; it is accepted.
    """
    if not callable(function):
        raise TypeError(f"{what} is {function!r}, no function; give one that takes {advice}")
    try:
        signature = inspect.signature(function)
    except ValueError:
        return
    try:
        signature.bind("")
    except TypeError:
        name = getattr(function, "__name__", repr(function))
        raise TypeError(f"{what} {name}{signature} has to take {advice}") from None
