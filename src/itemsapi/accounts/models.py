"""The tables of users and roles."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from itemsapi.db import Model


class User(Model):
    """A user. `id` is the identity; the name may be given to another user later (S-122).

    `password_expires_at`: when a temporary password expires; null for any other password. `epoch`:
    part of the user's access tokens; those with an earlier one are revoked (docs/adr/0004).
    """

    __tablename__ = "itemsapi_user"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    password_expires_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    epoch: Mapped[int] = mapped_column(BigInteger, default=0)
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
