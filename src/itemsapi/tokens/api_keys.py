"""API keys: their form, and the table of their hashes.

A key is `itk_`, a secret of 256 random bits, and a checksum, in letters and digits only: a double
click selects it whole, and scanners for secrets find it and sort out what only looks like one. The
checksum also rejects a mistyped key without a query. It protects nothing: whoever can guess the
secret can compute it.

The table has the SHA-256 of a key. A password needs a slow hash, because it can be guessed; 256
random bits cannot be guessed at any speed, and a slow hash at each request would cost more than the
request (OWASP Password Storage Cheat Sheet speaks of passwords only). So a copied table or backup
contains no usable key.
"""

import hashlib
import re
import secrets
import zlib
from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from itemsapi.db import Model

PREFIX = "itk_"
SECRET_BYTES = 32
SECRET_LENGTH = 43  # base 62: 62 ** 43 > 256 ** 32
CHECKSUM_LENGTH = 6  # base 62: 62 ** 6 > 2 ** 32
SHOWN_LENGTH = len(PREFIX) + 6  # what lists show of a key; 220 random bits stay unknown
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{SECRET_LENGTH}}}[0-9A-Za-z]{{{CHECKSUM_LENGTH}}}")


class ApiKey(Model):
    """An API key of a user, without its secret.

    `user_id` has no foreign key: the users may be those of another table. `scopes`: at most these,
    one space between two. `shown`: the beginning of the key, so that its owner recognizes it.
    `last_used_at`: in steps of five minutes.
    """

    __tablename__ = "itemsapi_api_key"
    __table_args__ = (Index(None, "user_id", "created_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(120))
    scopes: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    shown: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


def make_api_key() -> str:
    """Return a new key."""
    secret = _base62(int.from_bytes(secrets.token_bytes(SECRET_BYTES)), SECRET_LENGTH)
    return f"{PREFIX}{secret}{_checksum(secret)}"


def is_well_formed(key: str) -> bool:
    """Return whether a text has the form of a key, with the right checksum."""
    if not _FORM.fullmatch(key):
        return False
    secret = key[len(PREFIX) : -CHECKSUM_LENGTH]
    return key.endswith(_checksum(secret))


def hash_api_key(key: str) -> str:
    """Return what the table has of a key: its SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(secret: str) -> str:
    return _base62(zlib.crc32(secret.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
