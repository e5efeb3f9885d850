"""User names: ASCII, in one spelling each, so that no two look alike (S-158).

Letters count in lower case only. What is not ASCII is refused rather than folded: no homoglyph and
no compatibility form of an existing name can get in (GHSA-7rqj-j65f-68wh).
"""

import re

from itemsapi.problems import Invalid

MAX_USERNAME_LENGTH = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}", re.ASCII)


def normalize_username(username: str) -> str:
    """Return the one spelling under which a name is stored and looked up."""
    return username.lower() if username.isascii() else ""


def validate_username(username: str) -> str:
    """Return the normal form of a name that somebody wants. Raises `Invalid`."""
    name = normalize_username(username)
    if not _NAME.fullmatch(name):
        message = (
            "Write 1 to 64 of the ASCII letters, digits and . _ @ + -,"
            " beginning with a letter or digit."
        )
        raise Invalid.at("username", message)
    return name
