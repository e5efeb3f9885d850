"""The caller: the user or machine whose request the gate admitted."""

from dataclasses import dataclass, field
from typing import Any

from flask import Request, request

from itemsapi.gate.rules import ACCESS_TOKEN
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.scopes import Scope

CALLER = "itemsapi_caller"  # of the request object: a nested request may share the WSGI environment
STALE = "itemsapi_stale"
LIBRARY_VALUES = "itemsapi_library_values"  # of the request object: see `request_claims`


@dataclass(frozen=True, slots=True)
class Caller:
    """The user or machine whose request the gate admitted.

    `user_id`: the stable id of the user. `scopes`: the names of what this credential permits.
    `session_id`: the session of an access token; None for a machine. `credential`: the name of the
    credential, as in `by=` of a rule. `auth_time`: when the user signed in, in seconds since 1970;
    None for a machine. `token`: the verified access token, if it is one.

    The layer makes it for each request. A `Credential` of your own makes one, with `user_id`,
    `scopes` and `credential`, its name: `Caller("partner", frozenset({"orders:read"}),
    credential="partner")`.
    """

    user_id: str
    scopes: frozenset[str]
    session_id: str | None = None
    credential: str = ACCESS_TOKEN
    auth_time: int | None = None
    token: Claims | None = field(default=None, repr=False)

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of an access token, those of `@auth.claims` included; else empty.

        Each access returns a new copy: what a view changes in it is seen by no other request.
        """
        return {} if self.token is None else self.token.copy()

    def may(self, scope: Scope | str) -> bool:
        """Return whether the caller has `scope`, given as a `Scope` or by name."""
        return str(scope) in self.scopes


def caller_of(token: Claims) -> Caller:
    """Return the caller of a verified access token."""
    return Caller(
        token.sub,
        token.scopes,
        session_id=token.sid,
        auth_time=token.auth_time,
        token=token,
    )


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
    if caller is not None and caller.token is not None:
        vars(request).pop(LIBRARY_VALUES, None)  # a credential may have asked the library


def mark_stale_credential(request: Request) -> None:
    """Record that the request has an invalid access token that the rule tolerates."""
    setattr(request, STALE, True)


def clear_caller(request: Request) -> None:
    """Remove the caller of an earlier check: a request may be dispatched twice."""
    values = vars(request)
    values.pop(CALLER, None)
    values.pop(LIBRARY_VALUES, None)
