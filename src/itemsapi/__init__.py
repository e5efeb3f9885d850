"""itemsapi: an API-only authentication layer for Flask, and the Items API behind it.

Three steps, three folders:

1. `issuer` authenticates users and issues tokens.
2. `gate` checks the token and its scopes before every endpoint.
3. `endpoints` do their work for the caller that the gate admitted.

To put your own endpoints behind the gate you need only the names below.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itemsapi.app import create_app
    from itemsapi.clock import new_id
    from itemsapi.db import BlueprintModel
    from itemsapi.extension import AuthLayer
    from itemsapi.gate.caller import Caller, current_caller
    from itemsapi.gate.decorators import public, requires, signed_in
    from itemsapi.paging import Page, cut_page
    from itemsapi.problems import Conflict, NotFound
    from itemsapi.rest import Blueprint, PageQuery, Schema, fields, list_schema
    from itemsapi.services import current_database
    from itemsapi.tokens.scopes import Scope

__version__ = "0.1.0"

__all__ = [
    "AuthLayer",
    "Blueprint",
    "BlueprintModel",
    "Caller",
    "Conflict",
    "NotFound",
    "Page",
    "PageQuery",
    "Schema",
    "Scope",
    "create_app",
    "current_caller",
    "current_database",
    "cut_page",
    "fields",
    "list_schema",
    "new_id",
    "public",
    "requires",
    "signed_in",
]

_WHERE = {
    "AuthLayer": "extension",
    "Blueprint": "rest",
    "BlueprintModel": "db",
    "Caller": "gate.caller",
    "Conflict": "problems",
    "NotFound": "problems",
    "Page": "paging",
    "PageQuery": "rest",
    "Schema": "rest",
    "Scope": "tokens.scopes",
    "create_app": "app",
    "current_caller": "gate.caller",
    "current_database": "services",
    "cut_page": "paging",
    "fields": "rest",
    "list_schema": "rest",
    "new_id": "clock",
    "public": "gate.decorators",
    "requires": "gate.decorators",
    "signed_in": "gate.decorators",
}


def __getattr__(name: str) -> object:
    """Import each name on its first use, so that `itemsapi --help` starts quickly."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
