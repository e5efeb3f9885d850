"""The caller of a page for operators, as the one who acts."""

from itemsapi.accounts.reach import Actor
from itemsapi.gate.caller import current_caller


def actor() -> Actor:
    """Return who acts, and with which scopes: those of the token, which may be narrowed."""
    caller = current_caller()
    return Actor(caller.user_id, caller.scopes)
