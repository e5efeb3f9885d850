"""User names: ASCII in lower case, so that no two names look alike (S-158).

Other characters are rejected, not folded: a homoglyph or compatibility form of an existing name
cannot be registered (GHSA-7rqj-j65f-68wh).
"""

import re

from itemsapi.problems import ValidationFailed

MAX_USERNAME_LENGTH = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}", re.ASCII)


def normalize_username(username: str) -> str:
    """Return the normal form, in which a name is stored and looked up."""
    return username.lower() if username.isascii() else ""


def validate_username(username: str) -> str:
    """Return the normal form of a new name. Raise `ValidationFailed` unless it is acceptable."""
    name = normalize_username(username)
    if not _NAME.fullmatch(name):
        message = (
            "Write 1 to 64 of the ASCII letters, digits and . _ @ + -,"
            " beginning with a letter or digit."
        )
        raise ValidationFailed.at("username", message)
    return name
