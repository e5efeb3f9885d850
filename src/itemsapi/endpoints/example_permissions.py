"""Scopes and roles in the examples of the document: those that this application has.

The functions run in an application context, when the document is built.
"""

from itemsapi.services import services
from itemsapi.tokens.scopes import BUILTIN_SCOPES, ITEMS_READ, ITEMS_WRITE

EVERYDAY_SCOPES = [ITEMS_READ.name, ITEMS_WRITE.name]
EVERYDAY_ROLE = "member"  # the migration of the items creates it


def example_roles() -> list[str]:
    """Return the role of everyday users; without the items there is none."""
    return [EVERYDAY_ROLE] if _has_items() else []


def example_scopes() -> list[str]:
    """Return scopes that a user may have: of the items, or one of the application."""
    if _has_items():
        return EVERYDAY_SCOPES
    known, builtin = services().scopes(), {scope.name for scope in BUILTIN_SCOPES}
    return sorted(known.keys() - builtin)[:1] or sorted(known)[:1]


def example_scope() -> list[str]:
    """Return the scope that a program needs which only reads."""
    return example_scopes()[:1]


def _has_items() -> bool:
    return ITEMS_READ.name in services().scopes()
