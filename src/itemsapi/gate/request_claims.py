"""The claims that Flask-JWT-Extended's `get_jwt()` returns: each request object has its own.

The library keeps the verified token of a request in Flask's `g`. A request that is made inside
another one, or inside an application context, shares `g` with it, and the stream of a response is
read when its request is over. So whatever is written to `g` at one moment is read by another
request at a later one. Here `g` looks these names up in the current request object, as
`current_caller()` does: nothing must be removed or restored, and a request that never asks for its
claims copies none.
"""

import functools
from typing import Any

from flask import Flask, current_app, g, has_app_context, has_request_context
from flask.ctx import _AppCtxGlobals

from itemsapi.gate.caller import LIBRARY_VALUES, optional_caller
from itemsapi.gate.guarded_views import current_request

# Where Flask-JWT-Extended keeps the verified token of a request. It has no public function to set
# it without decoding the token again; tests/unit/test_library_internals.py fails when this changes.
_JWT, _JWT_HEADER = "_jwt_extended_jwt", "_jwt_extended_jwt_header"
_JWT_LOCATION, _JWT_USER = "_jwt_extended_jwt_location", "_jwt_extended_jwt_user"
_NAMES = frozenset({_JWT, _JWT_HEADER, _JWT_LOCATION, _JWT_USER})
_OUTSIDE = "_itemsapi_outside_requests"  # of `g`: the values by name


class RequestClaims(_AppCtxGlobals):
    """Flask's `g`, except that the names of Flask-JWT-Extended belong to the current request."""

    __slots__ = ()

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as Flask has it
        """Return a value, or `default`."""
        return _values(self).get(name, default) if name in _NAMES else super().get(name, default)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as Flask has it
        """Return a value. Raise `AttributeError` if there is none."""
        if name in _NAMES and name in (values := _values(self)):
            return values[name]
        return super().__getattr__(name)

    def __contains__(self, name: object) -> bool:
        """Return whether there is a value."""
        return name in _values(self) if name in _NAMES else super().__contains__(name)  # type: ignore[operator]  # Flask says str

    def __setattr__(self, name: str, value: object) -> None:
        """Keep a value.

        That of another manager is kept for `teardown_appcontext` too, when the request is over.
        """
        if name not in _NAMES:
            super().__setattr__(name, value)
            return
        _values(self)[name] = value
        if has_request_context() and optional_caller() is None:
            _values_outside(self)[name] = value


def keep_claims_by_request(app: Flask) -> None:
    """Give `app` a class of `g` that keeps the claims by request, on top of the one it has."""
    app.app_ctx_globals_class = _with_request_claims(app.app_ctx_globals_class)
    if has_app_context() and current_app == app:  # its `g` was made before
        values = g._get_current_object()  # noqa: SLF001 - documented
        object.__setattr__(values, "__class__", _with_request_claims(values.__class__))


@functools.cache
def _with_request_claims(base: type[_AppCtxGlobals]) -> type[_AppCtxGlobals]:
    if issubclass(base, RequestClaims):
        return base
    return type(base.__name__, (RequestClaims, base), {"__slots__": ()})


def _identity_claim() -> str:
    """Return the claim that `get_jwt_identity()` reads; an application may choose another one."""
    return str(current_app.config.get("JWT_IDENTITY_CLAIM", "sub"))


def _values_outside(values: _AppCtxGlobals) -> dict[str, Any]:
    """Return what is kept for the time outside of requests."""
    kept: dict[str, Any] = vars(values).setdefault(_OUTSIDE, {})
    return kept


def _values(values: _AppCtxGlobals) -> dict[str, Any]:
    """Return what Flask-JWT-Extended has of the current request, or outside of one."""
    if not has_request_context():
        return _values_outside(values)
    of_request: dict[str, Any] = vars(current_request()).setdefault(LIBRARY_VALUES, {})
    caller = optional_caller()
    if caller is not None and caller.token is not None and _JWT not in of_request:
        of_request[_JWT] = claims = caller.token.copy()
        claims[_identity_claim()] = caller.user_id
        of_request[_JWT_HEADER] = dict(caller.token.header)
        of_request[_JWT_LOCATION] = "headers"
    return of_request
