"""Users: the table, and what a flow reads of one."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from itemsapi.db import Model


class User(Model):
    """One who may sign in. `id` is the identity; the name may change hands (S-122).

    `password_expires_at`: until when a one-time password is good; null for one of the user's own.
    `epoch`: minted into their access tokens; those of an earlier one are void (docs/adr/0004).
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
    """A named set of scopes; `everything` stands for all scopes there are, pages' own included."""

    __tablename__ = "itemsapi_role"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    description: Mapped[str] = mapped_column(Text, default="")
    everything: Mapped[bool] = mapped_column(default=False)


class RoleScope(Model):
    """A scope that a role gives."""

    __tablename__ = "itemsapi_role_scope"

    role: Mapped[str] = mapped_column(
        ForeignKey("itemsapi_role.name", ondelete="CASCADE"), primary_key=True
    )
    scope: Mapped[str] = mapped_column(String(90), primary_key=True)


class UserRole(Model):
    """A role that a user has."""

    __tablename__ = "itemsapi_user_role"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("itemsapi_user.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(
        ForeignKey("itemsapi_role.name", ondelete="RESTRICT"), primary_key=True, index=True
    )
