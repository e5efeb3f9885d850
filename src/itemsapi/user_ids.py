"""User ids: which texts may be the id of a user, the layer's own or an application's (S-033)."""

from typing import TypeGuard

MAX_USER_ID_LENGTH = 128  # characters; the width of the column `user_id` in every table


def is_user_id(value: object) -> TypeGuard[str]:
    """Return whether this may be the id of a user: a token can have it, and a log can show it."""
    return isinstance(value, str) and 0 < len(value) <= MAX_USER_ID_LENGTH and value.isprintable()
