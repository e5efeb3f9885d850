"""The options of `AuthLayer`, and the mistakes in them."""

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from itemsapi import clock as clocks
from itemsapi.accounts.users import Users, require_users
from itemsapi.clock import Clock, Timer
from itemsapi.gate.credentials import Credential, require_credential
from itemsapi.gate.route_rules import RuleDecorator
from itemsapi.settings import Settings
from itemsapi.settings_error import setting_error

Part = Literal["api_keys", "items", "operators", "docs", "console", "health", "metrics"]
_PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOptions:
    """The options of a layer around one application; `AuthLayer` explains them.

    Raise `ValueError` for an option that cannot be, and `TypeError` for a value of a wrong type.
    """

    rules: Mapping[str, RuleDecorator] | None = None
    users: Users | None = None
    credentials: Collection[Credential] = ()
    settings: Settings | None = None
    include: Collection[Part] = ()
    url_prefix: str = ""
    whole_app: bool = False
    clock: Clock = clocks.now
    monotonic: Timer = time.monotonic

    def __post_init__(self) -> None:
        """Check the options."""
        _check_credentials(self.credentials)
        if self.url_prefix and not _PREFIX.fullmatch(self.url_prefix):
            raise ValueError(f"url_prefix={self.url_prefix!r} is no path; write it as in '/api'")
        _check_parts(self.include)
        _check_users(self.users, self.include)

    def with_given(self, **options: Any) -> "LayerOptions":
        """Return these options with others in place of some; None leaves an option as it is."""
        given = {name: value for name, value in options.items() if value is not None}
        return replace(self, **given)

    def settings_for(self, config: Mapping[str, Any]) -> Settings:
        """Return the settings of an application with this `app.config`. Raise `SettingsError`."""
        settings = (self.settings or Settings.of_application(config)).with_secrets()
        path = urlsplit(settings.public_url).path
        if self.url_prefix and f"{path}/".endswith(f"{self.url_prefix}/"):
            twice = f"{path}{self.url_prefix}/auth/login"
            raise setting_error(
                "public_url",
                f"ends with {self.url_prefix}, and url_prefix={self.url_prefix!r} adds it again,"
                f" as in {twice}; leave it out of ITEMSAPI_PUBLIC_URL",
            )
        return settings


def _check_credentials(credentials: object) -> None:
    """Raise `TypeError` for one credential in place of several, and for what is no credential.

    Raise `ValueError` for a name that no credential can have.
    """
    if not isinstance(credentials, Collection) or isinstance(credentials, str):
        raise TypeError("AuthLayer: credentials= is no list; write credentials=[...]")
    for credential in credentials:
        require_credential(credential)


def _check_parts(include: Collection[Part]) -> None:
    """Raise `ValueError` for an unknown part, and `TypeError` for what is no list of parts."""
    if not isinstance(include, Collection):
        raise TypeError("AuthLayer: include= is no list; write include=[...]")
    if isinstance(include, str):
        raise TypeError(
            f"AuthLayer: include={include!r} is a string; write include={{{include!r}}}"
        )
    parts = sorted(get_args(Part))
    for part in sorted(set(include).difference(parts)):
        raise ValueError(
            f"AuthLayer: include= has no part {part!r}; the parts are {', '.join(parts)}"
        )


def _check_users(users: Users | None, include: Collection[Part]) -> None:
    """Raise `TypeError` for an object that has no users.

    Raise `ValueError` for a part that works on the layer's own users, if there are others.
    """
    if users is None:
        return
    require_users(users)
    for part in sorted({"items", "operators"}.intersection(include)):
        raise ValueError(
            f"AuthLayer: include={{{part!r}}} works on the layer's own users; leave it out, or"
            " leave users= out"
        )
