"""Guarded views that ask the application's own Flask-JWT-Extended as well.

Its decorator `@jwt_required()` decodes the token of the request anew, with the keys of the
application's `JWTManager`. The tokens of the layer have other keys, and those of the application
do not pass the gate: if both read `Authorization`, no token at all opens such a view. A manager
that reads a cookie or another header first is no fault: a request can have both tokens.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

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

    Only if that manager reads the token where the gate does. Call it before the layer installs a
    manager of its own, whose check accepts what the gate verified.
    """
    if MANAGER_EXTENSION not in app.extensions:
        return False
    return any(
        _calls_check(one) and _reads_authorization(app, _locations(app, one))
        for part in parts
        for one in wrapped_functions(part)
    )


def _calls_check(function: object) -> bool:
    return VERIFY_FUNCTION in getattr(getattr(function, "__code__", None), "co_names", ())


def _locations(app: Flask, check: Any) -> Sequence[str]:  # noqa: ANN401 - a function, or a method
    """Return where this check looks for a token, in order; nothing if that cannot be seen."""
    code = check.__code__
    if any(isinstance(const, tuple) and "locations" in const for const in code.co_consts):
        return ()  # it passes `locations=` by itself
    cells = dict(zip(code.co_freevars, check.__closure__ or (), strict=True))
    given = cells["locations"].cell_contents if "locations" in cells else None  # `@jwt_required`
    locations = given or app.config["JWT_TOKEN_LOCATION"]
    if isinstance(locations, str):
        return [locations]
    return list(locations) if isinstance(locations, Collection) else ()


def _reads_authorization(app: Flask, locations: Sequence[str]) -> bool:
    """Return whether this manager takes the token of the layer for one of its own.

    It stops at the first place that has a token, and goes on after a header of another type.
    """
    if app.config["JWT_HEADER_NAME"].lower() != "authorization":
        return False
    first, *others = [place == "headers" for place in locations] or [False]
    is_bearer = app.config["JWT_HEADER_TYPE"] in {"Bearer", "", None}
    return first and (is_bearer or all(others))
