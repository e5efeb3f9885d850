"""Users and roles: their tables, user names, and the permissions of operators."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from itemsapi.db import Model
from itemsapi.problems import ValidationFailed

# Permissions of operators. Nobody can give more than they have (S-084).


@dataclass(frozen=True, slots=True)
class Permissions:
    """The permissions of roles: `everything`, or these scopes, known to the application or not."""

    everything: bool
    scopes: frozenset[str]

    def covers(self, other: "Permissions") -> bool:
        """Return whether these permissions include all of `other`."""
        return self.everything or (not other.everything and other.scopes <= self.scopes)


ALL_PERMISSIONS = Permissions(everything=True, scopes=frozenset())


class Operator(Protocol):
    """The caller of a request that changes users or roles, or the command line, which has no id."""

    @property
    def user_id(self) -> str | None:
        """The id of the caller's user; None on the command line, which has all permissions."""

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the caller's token, which may be narrowed."""


@dataclass(frozen=True, slots=True)
class _CommandLine:
    user_id: None = None
    scopes: frozenset[str] = frozenset()


COMMAND_LINE: Operator = _CommandLine()
ADMIN_ROLE = "admin"  # the role with all scopes, which every new database has


# User names: ASCII in lower case, so that no two names look alike (S-158).
#
# Other characters are rejected, not folded: a homoglyph or compatibility form of an existing name
# cannot be registered (GHSA-7rqj-j65f-68wh).

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


class User(Model):
    """A user. `id` is the identity; the name may be given to another user later (S-122).

    `password_expires_at`: when a temporary password expires; null for any other password.
    """

    __tablename__ = "itemsapi_user"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    password_expires_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Role(Model):
    """A named set of scopes; `everything` means all scopes, those of blueprints included."""

    __tablename__ = "itemsapi_role"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    description: Mapped[str] = mapped_column(Text, default="")
    everything: Mapped[bool] = mapped_column(default=False)


class RoleScope(Model):
    """A scope of a role."""

    __tablename__ = "itemsapi_role_scope"

    role: Mapped[str] = mapped_column(
        ForeignKey("itemsapi_role.name", ondelete="CASCADE"), primary_key=True
    )
    scope: Mapped[str] = mapped_column(String(90), primary_key=True)


class UserRole(Model):
    """A role of a user."""

    __tablename__ = "itemsapi_user_role"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("itemsapi_user.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(
        ForeignKey("itemsapi_role.name", ondelete="RESTRICT"), primary_key=True, index=True
    )
