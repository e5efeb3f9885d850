"""Decorators of Flask-Smorest above the route of a view, where they have no effect.

A route registers the view that is below it. A schema above it hides no field and checks no input,
and Flask-Smorest says nothing. The `Blueprint` of the layer refuses it at once; on the library's
own, the view in its module is compared with the registered one, so this is for views of modules.
"""

import inspect
import sys
from collections.abc import Iterator
from types import FunctionType

from flask import Flask

LIBRARY = "flask_smorest."


def skipped_decorators(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield the endpoint and the fault of each view that has one."""
    for endpoint, view in app.view_functions.items():
        for decorator in _above_route(view)[:1]:
            place = f"@{decorator} stands above the route of {view.__name__}"
            yield endpoint, f"{place}, where it has no effect; write it below"


def _above_route(view: object) -> list[str]:
    """Return the decorators between a registered view and what its module has by its name."""
    if not inspect.isfunction(view):
        return []
    outer = getattr(sys.modules.get(view.__module__), view.__name__, None)
    above: list[str] = []
    while inspect.isfunction(outer) and outer is not view:
        above += _library_decorator(outer)
        outer = getattr(outer, "__wrapped__", None)
    return above if outer is view else []


def _library_decorator(wrapper: FunctionType) -> list[str]:
    if not str(wrapper.__globals__.get("__name__")).startswith(LIBRARY):
        return []
    _, name, *_ = wrapper.__code__.co_qualname.split(".")  # such as `ResponseMixin.response...`
    return [name]
