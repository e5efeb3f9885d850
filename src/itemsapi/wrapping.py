"""Wrapping: functions around the views of an application."""

import functools
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
