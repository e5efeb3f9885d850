"""Credentials: what a request may carry to say who sends it.

A credential is an object with a name for `by=` of the rules, the scheme of its challenge, and two
methods. The access token is one and is always there; `itemsapi.gate.api_keys` and
`itemsapi.gate.hmac_signature` are others, and an application may write its own:

    class PartnerKeyInvalid(Challenge):  # of itemsapi.problems: a 401
        code, error, title = "invalid_partner_key", "invalid_token", "The partner key is invalid"

    class PartnerKey:  # Authorization: Partner <key>, which both sides know
        name, scheme = "partner", "Partner"
        documentation = {"type": "http", "scheme": "partner"}

        def is_present(self, request):
            return request.headers.get("Authorization", "").startswith("Partner ")

        def authenticate(self, request):
            key = request.headers.get("Authorization", "").removeprefix("Partner ")
            if not hmac.compare_digest(key.encode(), PARTNER_KEY):
                raise PartnerKeyInvalid
            return Caller("partner:bank", frozenset({"orders:read"}), credential=self.name)

A request carries one credential (S-011). With two it is rejected, whatever the rule accepts: what
a proxy adds or a client forgets must not decide who the caller is. A credential of a kind that the
rule does not name is rejected too, and never verified. Public routes read none.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from flask import Request

from itemsapi.clock import Clock
from itemsapi.gate.caller import Caller
from itemsapi.gate.rules import BY_ACCESS_TOKEN, Rule
from itemsapi.problems import CredentialNotAccepted, CredentialsAmbiguous

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
        if len(present) > 1:
            raise CredentialsAmbiguous
        if present[0].name not in rule.by:
            raise CredentialNotAccepted
        return present[0].authenticate(request)

    def schemes(self, rule: Rule) -> tuple[str, ...]:
        """Return the schemes that a rule accepts, each once, for its challenges."""
        accepted = [c.scheme for c in self._all if c.name in rule.by]
        return tuple(dict.fromkeys(accepted))
