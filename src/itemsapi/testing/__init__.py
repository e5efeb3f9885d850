"""What people test their own endpoints with: real tokens, a movable clock, attacks on every rule.

    from itemsapi.testing import assert_every_rule_is_enforced, caller_client

    def test_orders_are_listed(app):
        assert caller_client(app, scopes=["orders:read"]).get("/orders").status_code == 200

    def test_rules_are_enforced(app):
        assert_every_rule_is_enforced(app)

Tokens are real: the application's own keys sign them and its own gate checks them. Only
`assert_every_rule_is_enforced` stops the views. `itemsapi.testing.plugin` has the fixtures for
pytest.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itemsapi.testing.application import PASSWORD, close_database, create_tables, create_user
    from itemsapi.testing.clients import SignIn, bearer_client, caller_client, sign_in
    from itemsapi.testing.clock import MovableClock
    from itemsapi.testing.enforcement import assert_every_rule_is_enforced
    from itemsapi.testing.report import EnforcementReport, Failure, RulesNotEnforced
    from itemsapi.testing.settings import testing_settings
    from itemsapi.testing.tokens import access_token

__all__ = [
    "PASSWORD",
    "EnforcementReport",
    "Failure",
    "MovableClock",
    "RulesNotEnforced",
    "SignIn",
    "access_token",
    "assert_every_rule_is_enforced",
    "bearer_client",
    "caller_client",
    "close_database",
    "create_tables",
    "create_user",
    "sign_in",
    "testing_settings",
]

_WHERE = {
    "PASSWORD": "application",
    "EnforcementReport": "report",
    "Failure": "report",
    "MovableClock": "clock",
    "RulesNotEnforced": "report",
    "SignIn": "clients",
    "access_token": "tokens",
    "assert_every_rule_is_enforced": "enforcement",
    "bearer_client": "clients",
    "caller_client": "clients",
    "close_database": "application",
    "create_tables": "application",
    "create_user": "application",
    "sign_in": "clients",
    "testing_settings": "settings",
}


def __getattr__(name: str) -> object:
    """Import each name on its first use: pytest loads the plugin in every project."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
