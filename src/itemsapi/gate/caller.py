"""The caller: the user whose request the gate admitted."""

from dataclasses import dataclass

from flask import Request, g, request
from flask.ctx import _AppCtxGlobals

from itemsapi.tokens.claims import Claims
from itemsapi.tokens.scopes import Scope

CALLER = "itemsapi_caller"  # of the request object: a nested request may share the WSGI environment
STALE = "itemsapi_stale"

# Where Flask-JWT-Extended keeps the verified token of a request. It has no public function to set
# it without decoding the token again; tests/unit/test_library_internals.py fails when this changes.
_JWT, _JWT_HEADER = "_jwt_extended_jwt", "_jwt_extended_jwt_header"
_JWT_LOCATION, _JWT_USER = "_jwt_extended_jwt_location", "_jwt_extended_jwt_user"


@dataclass(frozen=True, slots=True)
class Caller:
    """The user whose request the gate admitted: the claims of a verified token, without a query."""

    claims: Claims

    @property
    def user_id(self) -> str:
        """The user's stable id (`sub`)."""
        return self.claims.sub

    @property
    def session_id(self) -> str:
        """The session that this token belongs to (`sid`)."""
        return self.claims.sid

    @property
    def scopes(self) -> frozenset[str]:
        """The names of the token's scopes."""
        return self.claims.scopes

    def may(self, scope: Scope) -> bool:
        """Return whether the token has `scope`."""
        return scope.name in self.claims.scopes


def current_caller() -> Caller:
    """Return the caller of this request. Raise `RuntimeError` on a public route: it has none."""
    caller = optional_caller()
    if caller is None:
        msg = "this route is public, so it has no caller; guard it with @requires or @signed_in"
        raise RuntimeError(msg)
    return caller


def optional_caller() -> Caller | None:
    """Return the caller of this request, or None on a route that does not require one."""
    caller = getattr(request, CALLER, None)
    return caller if isinstance(caller, Caller) else None


def has_stale_credential() -> bool:
    """Return whether the request has an invalid access token, on a route that tolerates one."""
    return bool(getattr(request, STALE, False))


def set_caller(request: Request, caller: Caller | None) -> None:
    """Set the caller of a request, for Flask-JWT-Extended's `get_jwt()` too."""
    setattr(request, CALLER, caller)
    if caller is not None:
        values = vars(_globals())
        values[_JWT] = caller.claims.raw
        values[_JWT_HEADER] = caller.claims.header
        values[_JWT_LOCATION] = "headers"


def _globals() -> _AppCtxGlobals:
    """Return Flask's `g` itself: each access to an attribute of the proxy looks it up anew."""
    return g._get_current_object()  # type: ignore[no-any-return]  # noqa: SLF001 - documented


def mark_stale_credential(request: Request) -> None:
    """Record that the request has an invalid access token that the rule tolerates."""
    setattr(request, STALE, True)


def clear_caller() -> None:
    """Remove the claims of an earlier request.

    Requests share `g` if one is made inside another, or inside an application context.
    """
    values = vars(_globals())
    for name in (_JWT, _JWT_HEADER, _JWT_LOCATION, _JWT_USER):
        values.pop(name, None)
