"""Applications that come up or do not: what is read of their routes at boot."""

import functools
from collections.abc import Callable
from typing import Any

import flask

from itemsapi.gate.rulebook import Rulebook, UnguardedRoute

Build = Callable[[flask.Flask], object]


def boot(build: Build) -> dict[str, str]:
    """Read the rules of an application; return them by method and path, or what stops the boot."""
    app = flask.Flask("test", static_folder=None)
    build(app)
    try:
        entries = Rulebook(app).matrix()
    except UnguardedRoute as error:
        return {"stopped": str(error)}
    return {f"{one.method} {one.path}": str(one.rule) for one in entries}


def boot_error(build: Build) -> str:
    """Return the line that stops the boot, or nothing."""
    return boot(build).get("stopped", "")


def make_view() -> Callable[[], str]:
    """Return a view that nobody has noted anything on."""

    def view() -> str:
        return ""

    return view


def wrapping_decorator(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as it should be done."""

    @functools.wraps(inner)
    def outer(*args: object, **kwargs: object) -> object:
        return inner(*args, **kwargs)

    return outer


def non_wrapping_decorator(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate without telling what is inside."""

    def outer(*args: object, **kwargs: object) -> object:
        return inner(*args, **kwargs)

    return outer
