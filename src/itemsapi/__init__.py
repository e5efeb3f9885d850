"""itemsapi: an API-only authentication layer for Flask, and the Items API behind it.

Three steps, three folders:

1. `issuer` authenticates users and issues tokens.
2. `gate` checks the token and its scopes before every endpoint.
3. `endpoints` do their work for the caller that the gate admitted.

To put your own endpoints behind the gate you need only the names below, and for rarer errors the
classes of `itemsapi.problems`. docs/reference.md describes all of them.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itemsapi.accounts.sql_users import SqlUsers
    from itemsapi.accounts.users import UserAccount, Users
    from itemsapi.app import create_app
    from itemsapi.clock import new_id
    from itemsapi.db import BlueprintModel, Database
    from itemsapi.extension import AuthLayer
    from itemsapi.gate.caller import Caller, current_caller
    from itemsapi.gate.credentials import Credential
    from itemsapi.gate.decorators import public, requires, signed_in
    from itemsapi.gate.hmac_signature import HmacSignature
    from itemsapi.gate.rulebook import RulesInvalid
    from itemsapi.gate.signature_formats import (
        SignatureParts,
        SignatureReader,
        body_signature,
        timestamped_signature,
    )
    from itemsapi.paging import Page, cut_page
    from itemsapi.preconditions import Precondition
    from itemsapi.problems import (
        BadRequest,
        Conflict,
        Forbidden,
        NotFound,
        PreconditionFailed,
        Problem,
        QuotaExceeded,
        TooManyRequests,
        Unavailable,
        ValidationFailed,
    )
    from itemsapi.rest import (
        Blueprint,
        PageQuery,
        Schema,
        documented_headers,
        fields,
        idempotency_key,
        list_schema,
        repeated_id,
    )
    from itemsapi.services import current_database, current_time
    from itemsapi.settings import Settings, SettingsError
    from itemsapi.tokens.scopes import Scope

__version__ = "0.1.0"

__all__ = [
    "AuthLayer",
    "BadRequest",
    "Blueprint",
    "BlueprintModel",
    "Caller",
    "Conflict",
    "Credential",
    "Database",
    "Forbidden",
    "HmacSignature",
    "NotFound",
    "Page",
    "PageQuery",
    "Precondition",
    "PreconditionFailed",
    "Problem",
    "QuotaExceeded",
    "RulesInvalid",
    "Schema",
    "Scope",
    "Settings",
    "SettingsError",
    "SignatureParts",
    "SignatureReader",
    "SqlUsers",
    "TooManyRequests",
    "Unavailable",
    "UserAccount",
    "Users",
    "ValidationFailed",
    "body_signature",
    "create_app",
    "current_caller",
    "current_database",
    "current_time",
    "cut_page",
    "documented_headers",
    "fields",
    "idempotency_key",
    "list_schema",
    "new_id",
    "public",
    "repeated_id",
    "requires",
    "signed_in",
    "timestamped_signature",
]

_NAMES_BY_MODULE = {
    "accounts.sql_users": ["SqlUsers"],
    "accounts.users": ["UserAccount", "Users"],
    "app": ["create_app"],
    "clock": ["new_id"],
    "db": ["BlueprintModel", "Database"],
    "extension": ["AuthLayer"],
    "gate.caller": ["Caller", "current_caller"],
    "gate.credentials": ["Credential"],
    "gate.decorators": ["public", "requires", "signed_in"],
    "gate.hmac_signature": ["HmacSignature"],
    "gate.signature_formats": [
        "SignatureParts",
        "SignatureReader",
        "body_signature",
        "timestamped_signature",
    ],
    "gate.rulebook": ["RulesInvalid"],
    "paging": ["Page", "cut_page"],
    "preconditions": ["Precondition"],
    "problems": [
        "BadRequest",
        "Conflict",
        "Forbidden",
        "NotFound",
        "PreconditionFailed",
        "Problem",
        "QuotaExceeded",
        "TooManyRequests",
        "Unavailable",
        "ValidationFailed",
    ],
    "rest": [
        "Blueprint",
        "PageQuery",
        "Schema",
        "documented_headers",
        "fields",
        "idempotency_key",
        "list_schema",
        "repeated_id",
    ],
    "services": ["current_database", "current_time"],
    "settings": ["Settings", "SettingsError"],
    "tokens.scopes": ["Scope"],
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


if not TYPE_CHECKING:  # a type checker would take any name for a public one

    def __getattr__(name: str) -> object:
        """Import each name on its first use, so that `itemsapi --help` starts quickly."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
