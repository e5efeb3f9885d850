"""Queries of users and roles, for the issuer and for operators.

The issuer's queries are prepared Core statements, because they run at every sign-in and refresh.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, func, select, union_all, update
from sqlalchemy.orm import Session

from itemsapi.accounts.models import (
    Permissions,
    Role,
    RoleScope,
    User,
    UserRole,
    normalize_username,
)
from itemsapi.accounts.users import UserAccount
from itemsapi.db import AnyRow, Database, Lookup, fetch

Reader = Connection | Session

_user, _role = User.core(), Role.core()
_role_scope, _user_role = RoleScope.core(), UserRole.core()


_COLUMNS = (
    _user.c.id,
    _user.c.username,
    _user.c.password_hash,
    _user.c.disabled_at,
    _user.c.password_expires_at,
)
_BY_NAME = Lookup(select(*_COLUMNS).where(_user.c.username == bindparam("name")))
_BY_ID = select(*_COLUMNS).where(_user.c.id == bindparam("id"))
_WITH_SCOPES = Lookup(
    select(*_COLUMNS, _role.c.everything, _role_scope.c.scope)
    .select_from(_user)
    .outerjoin(_user_role, _user_role.c.user_id == _user.c.id)
    .outerjoin(_role, _role.c.name == _user_role.c.role)
    .outerjoin(_role_scope, _role_scope.c.role == _role.c.name)
    .where(_user.c.id == bindparam("id"))
)
_SET_HASH = (
    update(_user).where(_user.c.id == bindparam("user")).values(password_hash=bindparam("new"))
)
_SET_PASSWORD = (
    update(_user)
    .where(_user.c.id == bindparam("user"))
    .values(
        password_hash=bindparam("new"),
        password_expires_at=None,
        updated_at=bindparam("now"),
        version=_user.c.version + 1,
    )
)

SURVEYED_USERS = 5000  # at each end of the table; some 10 ms
HASH_TAIL_LENGTH = 67  # characters of salt and digest in a PHC string, with their separators

_ends = union_all(
    *(
        select(select(_user.c.password_hash).order_by(order).limit(SURVEYED_USERS).subquery())
        for order in (_user.c.id, _user.c.id.desc())
    )
).subquery()
_parameters = func.substr(
    _ends.c.password_hash, 1, func.length(_ends.c.password_hash) - HASH_TAIL_LENGTH
)
_HASH_PARAMETERS = (
    select(_parameters)
    .where(func.length(_ends.c.password_hash) > HASH_TAIL_LENGTH)
    .group_by(_parameters)
    .order_by(func.count().desc())
    .limit(16)
)


def find_by_name(database: Database, username: str) -> UserAccount | None:
    """Find a user by name."""
    rows = database.fetch(_BY_NAME, {"name": normalize_username(username)})
    return _account(next(iter(_BY_NAME.named(rows)), None))


def find_by_id(reader: Reader, user_id: str) -> UserAccount | None:
    """Find a user by id."""
    return _account(reader.execute(_BY_ID, {"id": user_id}).first())


def find_with_scopes(
    tx: Reader, user_id: str, known: Iterable[str]
) -> tuple[UserAccount | None, frozenset[str]]:
    """Find a user by id, with the scopes of their roles that the application knows."""
    rows = fetch(tx, _WITH_SCOPES, {"id": user_id})
    known = frozenset(known)
    if any(row.everything for row in rows):
        return _account(rows[0]), known
    return _account(next(iter(rows), None)), known & {row.scope for row in rows}


def replace_password_hash(tx: Session, user_id: str, new: str) -> None:
    """Store another hash of the same password of a locked user."""
    tx.execute(_SET_HASH, {"user": user_id, "new": new})


def store_password(tx: Session, user_id: str, new: str, now: datetime) -> None:
    """Store the hash of a new password of a locked user; it is no temporary one."""
    tx.execute(_SET_PASSWORD, {"user": user_id, "new": new, "now": now})


def load_hash_parameters(connection: Connection) -> list[str]:
    """Return the parameters of stored password hashes, the most frequent first.

    Only the oldest and the newest users are read; up to ten thousand users that is all of them.
    """
    return [str(parameters) for parameters in connection.scalars(_HASH_PARAMETERS)]


def _account(row: AnyRow | None) -> UserAccount | None:
    if row is None:
        return None
    return UserAccount(
        id=row.id,
        username=row.username,
        password_hash=row.password_hash,
        enabled=row.disabled_at is None,
        password_expires_at=row.password_expires_at,
    )


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user with their roles, without secrets."""

    id: str
    username: str
    disabled: bool
    roles: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    version: int
    password_expires_at: datetime | None  # of a temporary password; any other never expires


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A role with its scopes; `everything` means all scopes."""

    name: str
    description: str
    everything: bool
    scopes: tuple[str, ...]

    @property
    def permissions(self) -> Permissions:
        """The permissions of this role."""
        return Permissions(self.everything, frozenset(self.scopes))


def list_users(reader: Reader, *, after: str, limit: int, prefix: str = "") -> list[UserRecord]:
    """Return up to `limit` users in order of name, after the name `after`, with a prefix."""
    query = select(_user).where(_user.c.username > after).order_by(_user.c.username).limit(limit)
    if prefix:
        query = query.where(_user.c.username.startswith(prefix, autoescape=True))
    return _user_records(reader, query)


def get_user(reader: Reader, user_id: str) -> UserRecord | None:
    """Return the user with this id."""
    return next(iter(_user_records(reader, select(_user).where(_user.c.id == user_id))), None)


def get_user_by_name(reader: Reader, name: str) -> UserRecord | None:
    """Return the user with this normalized name."""
    return next(iter(_user_records(reader, select(_user).where(_user.c.username == name))), None)


def list_roles(reader: Reader, *, names: Iterable[str] | None = None) -> list[RoleRecord]:
    """Return all roles in order of name, or those of `names` that exist."""
    query = select(_role).order_by(_role.c.name)
    if names is not None:
        query = query.where(_role.c.name.in_(list(names)))
    rows = reader.execute(query).all()
    scopes = _scopes_by_role(reader, [row.name for row in rows])
    return [RoleRecord(row.name, row.description, row.everything, scopes[row.name]) for row in rows]


def load_permissions(reader: Reader, user_id: str) -> Permissions:
    """Return the permissions of a user's roles."""
    names = select(_user_role.c.role).where(_user_role.c.user_id == user_id)
    roles = list_roles(reader, names=reader.execute(names).scalars())
    scopes = frozenset(scope for role in roles for scope in role.scopes)
    return Permissions(any(role.everything for role in roles), scopes)


def list_users_with_role(reader: Reader, role: str, *, limit: int) -> list[str]:
    """Return the ids of up to `limit` users of a role, in order of id."""
    query = select(_user_role.c.user_id).where(_user_role.c.role == role)
    return list(reader.execute(query.order_by(_user_role.c.user_id).limit(limit)).scalars())


def count_admins(reader: Reader) -> int:
    """Count the enabled users with all permissions."""
    query = (
        select(func.count(_user.c.id.distinct()))
        .join(_user_role, _user_role.c.user_id == _user.c.id)
        .join(_role, _role.c.name == _user_role.c.role)
        .where(_role.c.everything, _user.c.disabled_at.is_(None))
    )
    return int(reader.execute(query).scalar_one())


def has_users(reader: Reader) -> bool:
    """Return whether there is any user."""
    return reader.execute(select(_user.c.id).limit(1)).first() is not None


def _user_records(reader: Reader, query: Select[tuple[User]]) -> list[UserRecord]:
    rows = reader.execute(query).all()
    user_roles = select(_user_role.c.user_id, _user_role.c.role).where(
        _user_role.c.user_id.in_([row.id for row in rows])
    )
    roles_of = _group([row.id for row in rows], reader.execute(user_roles))
    return [
        UserRecord(
            id=row.id,
            username=row.username,
            disabled=row.disabled_at is not None,
            roles=roles_of[row.id],
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
            password_expires_at=row.password_expires_at,
        )
        for row in rows
    ]


def _scopes_by_role(reader: Reader, names: list[str]) -> Mapping[str, tuple[str, ...]]:
    query = select(_role_scope.c.role, _role_scope.c.scope).where(_role_scope.c.role.in_(names))
    return _group(names, reader.execute(query))


def _group(keys: Iterable[str], pairs: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {key: [] for key in keys}
    for key, value in pairs:
        groups[key].append(value)
    return {key: tuple(sorted(values)) for key, values in groups.items()}
