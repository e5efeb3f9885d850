"""Read the access rules of an application at boot."""

import functools
from collections.abc import Callable
from typing import Any

import flask

from itemsapi.gate.rulebook import Rulebook, RulesInvalid

Build = Callable[[flask.Flask], object]


def boot(build: Build) -> dict[str, str]:
    """Return the rules of an application by method and path, or the error that stops the boot."""
    app = flask.Flask("test", static_folder=None)
    build(app)
    try:
        rulebook = Rulebook(app)
        rulebook.require_complete()
    except RulesInvalid as error:
        return {"stopped": str(error)}
    return {f"{entry.method} {entry.path}": str(entry.rule) for entry in rulebook.matrix()}


def boot_error(build: Build) -> str:
    """Return the message that stops the boot, or an empty string."""
    return boot(build).get("stopped", "")


def make_view() -> Callable[[], str]:
    """Return a view without any access rule."""

    def view() -> str:
        return ""

    return view


def wrapping_decorator(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function with `functools.wraps`."""

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper


def non_wrapping_decorator(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function without `functools.wraps`."""

    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper
