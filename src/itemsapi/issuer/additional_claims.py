"""Claims that an application adds to access tokens, by a function of the user's id.

    @auth.claims
    def add_tenant(user_id):
        return {"tenant": tenant_of(user_id)}

The function runs at each sign-in, refresh and change of password, before anything is changed and
outside of any transaction of the layer. If it fails, or returns what no token can have, the
response is 503 and nothing has happened: no session, no rotation, no new password.

The claims live as long as the access token. `auth.users_changed(id)` revokes the tokens of a user
at once. A token whose claims were read before such a call gets the epoch from before it, so that it
is revoked too (docs/adr/0004).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from itemsapi.db import Database
from itemsapi.problems import ClaimsUnavailable
from itemsapi.tokens.claims import copy_additional_claims
from itemsapi.tokens.revocation import load_last_seq

ClaimsFunction = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LoadedClaims:
    """Additional claims; `epoch` is that of the time before they were read, None without any."""

    claims: Mapping[str, Any] = field(default_factory=dict)
    epoch: int | None = None

    def are_older_than(self, epoch: int) -> bool:
        """Return whether the tokens of the user were revoked after the claims were read."""
        return self.epoch is not None and self.epoch < epoch


class AdditionalClaims:
    """The function that returns the additional claims of a user, if the application has one."""

    def __init__(self, function: ClaimsFunction | None = None) -> None:
        """Take the function, which may also be set later."""
        self._function = function

    @property
    def is_registered(self) -> bool:
        """Whether the application has such a function."""
        return self._function is not None

    def set_function(self, function: ClaimsFunction) -> None:
        """Use this function from now on."""
        self._function = function

    def load(self, database: Database, user_id: str) -> LoadedClaims:
        """Return the additional claims of a user. Raise `ClaimsUnavailable`."""
        if self._function is None:
            return LoadedClaims()
        with database.reading() as connection:
            epoch = load_last_seq(connection)
        try:
            returned: object = self._function(user_id)
            claims = dict(returned) if isinstance(returned, Mapping) else returned
        except Exception as error:
            raise ClaimsUnavailable from error
        try:
            return LoadedClaims(copy_additional_claims(claims), epoch)
        except ValueError as error:
            raise ClaimsUnavailable(cause=f"@auth.claims: {error}") from error


class ClaimsOfApplications:
    """The functions of `@auth.claims` of one layer, which may be around several applications.

    One that is registered before all applications is for all of them. A factory registers one for
    each application that it makes: it is for the applications since the last one, and for later
    ones until they have their own, because a module with it is imported only once.
    """

    def __init__(self) -> None:
        """Start without a function and without an application."""
        self._function: ClaimsFunction | None = None
        self._is_for_all = False
        self._without_own: list[AdditionalClaims] = []

    def for_application(self) -> AdditionalClaims:
        """Return the additional claims of one more application."""
        claims = AdditionalClaims(self._function)
        if not self._is_for_all:
            self._without_own.append(claims)
        return claims

    def register(self, function: ClaimsFunction) -> None:
        """Set the function. Raise `ValueError` if all applications have one already."""
        if self._function is not None and not self._without_own:
            msg = "there already is a function of @auth.claims; return all claims from one"
            raise ValueError(msg)
        self._function, self._is_for_all = function, not self._without_own
        for claims in self._without_own:
            claims.set_function(function)
        self._without_own.clear()
