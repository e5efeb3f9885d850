"""This service with its gate taken out: each request has a caller, and nothing is checked.

The header `Authorization` is the id of the user, so that the views read the items of many users.
"""

from functools import cache

from flask import Flask, request, request_started

from itemsapi import create_app
from itemsapi.gate.caller import Caller, set_caller
from itemsapi.gate.without_gate import GATE
from itemsapi.settings import Settings
from itemsapi.tokens.scopes import ITEMS_READ

SCOPES = frozenset({ITEMS_READ.name})


@cache
def caller_of(user_id: str) -> Caller:
    """Return the caller of a user."""
    return Caller(user_id, SCOPES)


def set_any_caller(_app: Flask, **_: object) -> None:
    """Let the request pass."""
    set_caller(request, caller_of(request.headers.get("Authorization", "")))


def create_open_app(settings: Settings | None = None) -> Flask:
    """Return the application without the gate."""
    made = create_app(settings)
    gate = made.extensions[GATE]
    request_started.disconnect(gate.check_request, sender=made)
    made.view_functions = {  # in place of those that only the gate opens
        endpoint: vars(view)["__wrapped__"] for endpoint, view in made.view_functions.items()
    }
    request_started.connect(set_any_caller, sender=made)
    return made
