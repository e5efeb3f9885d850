"""The claims of a request in Flask's `g`, where Flask-JWT-Extended's `get_jwt()` reads them."""

from typing import Any

from flask import Request, g
from flask.ctx import _AppCtxGlobals

from itemsapi.tokens.claims import Claims

# Where Flask-JWT-Extended keeps the verified token of a request. It has no public function to set
# it without decoding the token again; tests/unit/test_library_internals.py fails when this changes.
_JWT, _JWT_HEADER = "_jwt_extended_jwt", "_jwt_extended_jwt_header"
_JWT_LOCATION, _JWT_USER = "_jwt_extended_jwt_location", "_jwt_extended_jwt_user"
_JWT_NAMES = (_JWT, _JWT_HEADER, _JWT_LOCATION, _JWT_USER)
OUTER_CLAIMS = "itemsapi_outer_claims"  # of the request object
VIEW_RUNS = "itemsapi_view_runs"  # of the request object


def set_claims(token: Claims) -> None:
    """Set the claims of the current request: those of a verified access token."""
    values = vars(_globals())
    values[_JWT] = token.copy()
    values[_JWT_HEADER] = dict(token.header)
    values[_JWT_LOCATION] = "headers"


def hide_outer_claims(request: Request) -> None:
    """Remove the claims of the request around this one, until `restore_outer_claims`.

    Requests share `g` if one is made inside another, or inside an application context.
    """
    outer = _pop_claims()
    if not hasattr(request, OUTER_CLAIMS):  # a request may be dispatched twice
        setattr(request, OUTER_CLAIMS, outer)


def restore_outer_claims(request: Request) -> None:
    """Remove the claims of a request that is over, and restore those of the one around it.

    If its view runs, it is not over: a copy of its context is (`copy_current_request_context`).
    """
    if not getattr(request, VIEW_RUNS, False):
        _pop_claims()
        vars(_globals()).update(getattr(request, OUTER_CLAIMS, {}))


def _pop_claims() -> dict[str, Any]:
    values = vars(_globals())
    return {name: values.pop(name) for name in _JWT_NAMES if name in values}


def _globals() -> _AppCtxGlobals:
    """Return Flask's `g` itself: each access to an attribute of the proxy looks it up anew."""
    return g._get_current_object()  # type: ignore[no-any-return]  # noqa: SLF001 - documented
