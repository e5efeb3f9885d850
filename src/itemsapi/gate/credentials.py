"""Credentials: what a request may carry to say who sends it.

A credential is an object with a name for `by=` of the rules, the scheme of its challenge, its
documentation, and two methods. The access token is one and is always there;
`itemsapi.gate.api_keys` and `itemsapi.gate.hmac_signature` are others, and an application may write
its own: docs/rules.md has an example.

A request carries one credential (S-011). With two it is rejected, whatever the rule accepts: what
a proxy adds or a client forgets must not decide who the caller is. A credential of a kind that the
rule does not name is rejected too, and never verified. Public routes read none. Where one header
may be of several credentials, as of two senders that sign in the same form, the rule decides.

The caller of a machine has an id that no user can have: the name of the credential, alone or with
`:` and any text after it. With the id of a user, the request is one of that user.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from flask import Request

from itemsapi.clock import Clock
from itemsapi.gate.caller import Caller
from itemsapi.gate.rules import BY_ACCESS_TOKEN, Rule
from itemsapi.problems import BodyTooLarge, Challenge, CredentialNotAccepted, CredentialsAmbiguous
from itemsapi.user_ids import MAX_USER_ID_LENGTH, is_user_id

WEBHOOK = "webhook"  # what the ids of the callers of all `HmacSignature` begin with
_NAME = re.compile("[a-z][a-z0-9_]{0,39}")


class Credential(Protocol):
    """A way to authenticate.

    `name`: as in `by=` and in the OpenAPI document, 1 to 40 lower-case letters, digits and `_`.
    `scheme`: of the challenge in `WWW-Authenticate` (RFC 9110 section 11.1). An example:
    [A credential of your own](rules.md#a-credential-of-your-own).
    """

    @property
    def name(self) -> str:
        """The name of the credential in rules and in the OpenAPI document."""

    @property
    def scheme(self) -> str:
        """The authentication scheme of its challenge."""

    @property
    def documentation(self) -> Mapping[str, Any]:
        """The security scheme object of the OpenAPI document (OpenAPI 3.1 section 4.8.27)."""

    def is_present(self, request: Request) -> bool:
        """Return whether a request has such a credential, valid or not; read only its headers."""

    def authenticate(self, request: Request) -> Caller | None:
        """Return the caller of a request; None if it has no such credential.

        Raise a `Problem` if the credential is not valid.
        """


@runtime_checkable
class FollowsClock(Protocol):
    """A credential that asks for the time."""

    def with_clock(self, clock: Clock) -> Credential:
        """Return this credential with the clock of the layer, unless it has one of its own."""


def require_credential(credential: Credential) -> None:
    """Raise `TypeError` for an object that is no credential, `ValueError` for a name that is none.

    A class in place of its object would have all the members, and reject every request.
    """
    if isinstance(credential, type):
        msg = f"credentials= has the class {credential.__name__}; write {credential.__name__}(...)"
        raise TypeError(msg)
    for member in ("name", "scheme", "documentation", "is_present", "authenticate"):
        if not hasattr(credential, member):
            kind = type(credential).__name__
            msg = f"credentials= has an object of the type {kind}, which has no {member!r}"
            raise TypeError(msg)
    require_credential_name(credential.name)


def require_credential_name(name: str) -> None:
    """Raise `ValueError` for a name that no credential can have."""
    if not _NAME.fullmatch(name):
        msg = f"{name!r} is no name of a credential: write 1 to 40 lower-case letters, digits and _"
        raise ValueError(msg)


def machine_names(credentials: Iterable[Credential]) -> frozenset[str]:
    """Return the names that the ids of the callers of these credentials may begin with.

    No id of a user is one of them, or begins with one and a colon.
    """
    return frozenset({WEBHOOK, *(credential.name for credential in credentials)})


def require_caller(caller: object, name: str) -> None:
    """Raise `TypeError` for what a credential returned, if that is no caller.

    Every user has one id, which is a text. A caller with None or a number as id would be nobody, or
    somebody else, where rates and owners are compared.
    """
    fault = None
    if not isinstance(caller, Caller):
        fault = f"{type(caller).__name__}, neither a Caller nor None"
    elif not is_user_id(caller.user_id):
        length = f"1 to {MAX_USER_ID_LENGTH} printable characters"
        fault = f"a caller whose user_id is no text of {length}"
    elif not _are_names(caller.scopes):
        fault = "a caller whose scopes are no frozenset of names"
    elif type(caller.auth_time) not in {int, type(None)}:
        fault = "a caller whose auth_time is no whole number of seconds"
    if fault:
        msg = f"the credential {name!r} returned {fault}"
        raise TypeError(msg)


def _are_names(scopes: object) -> bool:
    return isinstance(scopes, AbstractSet) and all(isinstance(name, str) for name in scopes)


def _place(credential: Credential) -> object:
    """Return where a request has a credential; two that share a place count as one."""
    documented = credential.documentation
    if documented.get("type") in {"http", "oauth2", "openIdConnect"}:  # RFC 6750 section 2.1
        return "header", "authorization"
    if documented.get("type") == "apiKey":
        return documented.get("in"), str(documented.get("name")).lower()
    return credential.name


class Credentials:
    """The credentials of one gate, the access token first."""

    def __init__(self, access_token: Credential, others: Iterable[Credential] = ()) -> None:
        """Take the credentials.

        Raise `ValueError` for a name that cannot be or is there twice, `TypeError` for an object
        that is no credential.
        """
        self._access_token = access_token
        self.others = tuple(others)
        self._all = (access_token, *self.others)
        for credential in self._all:
            require_credential(credential)
        self._by_name = {credential.name: credential for credential in self._all}
        if len(self._by_name) != len(self._all):
            msg = "two credentials have the same name; give each a name of its own"
            raise ValueError(msg)
        self.names = frozenset(self._by_name)

    def authenticate(self, request: Request, rule: Rule) -> Caller | None:
        """Return the caller of a request; None if it has no credential.

        Raise `CredentialsAmbiguous`, `CredentialNotAccepted`, or the problem of the credential.
        """
        if not self.others and rule.by == BY_ACCESS_TOKEN:
            return self._access_token.authenticate(request)
        present = [credential for credential in self._all if credential.is_present(request)]
        if not present:
            return None
        if len(present) > 1 and len({_place(credential) for credential in present}) > 1:
            raise CredentialsAmbiguous
        accepted = [credential for credential in present if credential.name in rule.by]
        if not accepted:
            raise CredentialNotAccepted
        return self._first_caller(accepted, request)

    def _first_caller(self, accepted: Sequence[Credential], request: Request) -> Caller | None:
        """Return the caller by the first credential that has one; the last one may raise."""
        for credential in accepted[:-1]:
            with suppress(Challenge, BodyTooLarge):  # each has a limit of its own
                caller = self._caller_by(credential, request)
                if caller is not None:
                    return caller
        return self._caller_by(accepted[-1], request)

    def _caller_by(self, credential: Credential, request: Request) -> Caller | None:
        """Return the caller by one credential.

        Raise its problem; `TypeError` for what is no caller of its own, which is a 503.
        """
        caller = credential.authenticate(request)
        if credential is not self._access_token and caller is not None:
            require_caller(caller, credential.name)
            self._require_own(caller, credential.name)
            return replace(caller, credential=credential.name)  # it may have left it out
        return caller

    def _require_own(self, caller: Caller, name: str) -> None:
        """Raise `TypeError` for a caller whose id is one of another credential."""
        prefix, _, rest = caller.user_id.partition(":")
        is_own = prefix == name or (prefix, rest) == (WEBHOOK, name)
        if prefix in machine_names(self.others) and not is_own:
            msg = f"the credential {name!r} returned a caller whose id is one of {prefix!r}"
            raise TypeError(msg)

    def schemes(self, rule: Rule) -> tuple[str, ...]:
        """Return the schemes that a rule accepts, each once, for its challenges."""
        accepted = [c.scheme for c in self._all if c.name in rule.by]
        return tuple(dict.fromkeys(accepted))
