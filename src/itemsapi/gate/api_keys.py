"""API keys as a credential: `Authorization: Bearer itk_...`, where a rule says `by={"api_key"}`.

A key travels as the access token does, in the one header that proxies and logs already treat as
secret, and that holds one credential only: a request cannot carry a key beside an access token.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flask import Request

from itemsapi.gate.authenticate import bearer_token, run_after_response
from itemsapi.gate.caller import Caller
from itemsapi.problems import BEARER
from itemsapi.tokens.api_keys import PREFIX

API_KEY = "api_key"

_API_KEY = re.compile(f"(?i:bearer) +{PREFIX}", re.ASCII)


class KeySender(Protocol):
    """Who sends a key: what `find_owner` returns."""

    @property
    def user_id(self) -> str:
        """The user whose key it is."""

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the key that its user still has."""

    @property
    def record_use(self) -> Callable[[], None] | None:
        """Record that the key is in use; None if that was recorded a short time ago."""


class ApiKeyCredential:
    """The credential `api_key`."""

    name = API_KEY
    scheme = BEARER
    documentation: Mapping[str, Any] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": f"{PREFIX}...",
        "description": "An API key of a user. It has the scopes that it was made with, as long as"
        " its user has them.",
    }

    def __init__(self, find_owner: Callable[[str], KeySender]) -> None:
        """Take the function that returns the owner of a key, or raises `ApiKeyInvalid`."""
        self._find_owner = find_owner

    def is_present(self, request: Request) -> bool:
        """Return whether the bearer credential of a request begins as an API key does."""
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        return PREFIX in header and _API_KEY.match(header) is not None

    def authenticate(self, request: Request) -> Caller | None:
        """Return the user whose key it is, with the scopes that both have.

        Raise `ApiKeyInvalid`, or `DatabaseUnavailable` if the key cannot be looked up.
        """
        key = bearer_token(request)
        if key is None:
            return None
        owner = self._find_owner(key)
        if owner.record_use is not None:
            run_after_response(owner.record_use)
        return Caller(owner.user_id, owner.scopes, credential=self.name)
