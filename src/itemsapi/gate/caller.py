"""The caller: who the gate let in, and all that an endpoint needs to know of them."""

from dataclasses import dataclass

from flask import g, request

from itemsapi.tokens.claims import Claims
from itemsapi.tokens.scopes import Scope

CALLER = "itemsapi_caller"  # on the request: one made inside it may share its WSGI environment
STALE = "itemsapi_stale"
OF_JWT_EXTENDED = (
    "_jwt_extended_jwt",
    "_jwt_extended_jwt_header",
    "_jwt_extended_jwt_location",
    "_jwt_extended_jwt_user",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the gate let in: made from a verified token, apart from any table."""

    claims: Claims

    @property
    def user_id(self) -> str:
        """The user's stable id (`sub`)."""
        return self.claims.sub

    @property
    def session_id(self) -> str:
        """The sign-in that this token belongs to (`sid`)."""
        return self.claims.sid

    @property
    def scopes(self) -> frozenset[str]:
        """The names of the scopes that the token carries."""
        return self.claims.scopes

    def may(self, scope: Scope) -> bool:
        """Tell whether the token carries `scope`."""
        return scope.name in self.claims.scopes


def current_caller() -> Caller:
    """Return the caller of this request.

    Raises `RuntimeError` on a public route: there is none, and guessing would be worse.
    """
    caller = optional_caller()
    if caller is None:
        msg = "this route is public, so it has no caller; guard it with @requires or @signed_in"
        raise RuntimeError(msg)
    return caller


def optional_caller() -> Caller | None:
    """Return the caller of this request, or None where a route may be used without one."""
    caller = getattr(request, CALLER, None)
    return caller if isinstance(caller, Caller) else None


def has_stale_credential() -> bool:
    """Tell whether an access token was shown that is good no more, where that is let pass."""
    return bool(getattr(request, STALE, False))


def note_caller(caller: Caller | None) -> None:
    """Say who the gate let in, where Flask-JWT-Extended's `get_jwt()` looks for it too."""
    setattr(request, CALLER, caller)
    if caller is not None:
        g._jwt_extended_jwt = caller.claims.raw  # noqa: SLF001 - get_jwt() reads it there
        g._jwt_extended_jwt_header = caller.claims.header  # noqa: SLF001
        g._jwt_extended_jwt_location = "headers"  # noqa: SLF001


def note_stale_credential() -> None:
    """Say that a credential was shown that is no good, and let pass."""
    setattr(request, STALE, True)


def forget_callers() -> None:
    """Empty `g` of whoever came before.

    Requests share it where one is made inside another, or inside an application context.
    """
    for name in OF_JWT_EXTENDED:
        g.pop(name, None)
