"""Guarded views that ask the application's own Flask-JWT-Extended as well.

Its decorator `@jwt_required()` decodes the token of the request anew, with the keys of the
application's `JWTManager`. The tokens of the layer have other keys, and those of the application
do not pass the gate: no token at all opens such a view.
"""

from collections.abc import Iterable

from flask import Flask

from itemsapi.gate.decorators import wrapped_functions

MANAGER_EXTENSION = "flask-jwt-extended"  # in `app.extensions`
# `@jwt_required()` calls it, and so do decorators made after it.
VERIFY_FUNCTION = "verify_jwt_in_request"
CHECKED_TWICE = (
    f"is checked twice, by the gate and by @jwt_required() or {VERIFY_FUNCTION}() with the"
    " application's JWTManager, so no token opens it; remove the second, or mark the view @public"
)


def asks_another_manager(app: Flask, parts: Iterable[object]) -> bool:
    """Return whether one of these functions, or one that it wraps, asks the application's manager.

    Call it before the layer installs a manager of its own, whose check accepts what the gate
    verified.
    """
    if MANAGER_EXTENSION not in app.extensions:
        return False
    return any(_calls_check(one) for part in parts for one in wrapped_functions(part))


def _calls_check(function: object) -> bool:
    return VERIFY_FUNCTION in getattr(getattr(function, "__code__", None), "co_names", ())
