"""Users and roles in the database: read by the issuer at every sign-in, and by operators.

What the issuer reads is Core rows by fixed statements: it runs at every sign-in and refresh.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, func, select, union_all
from sqlalchemy.orm import Session

from itemsapi.accounts.models import Role, RoleScope, User, UserRole
from itemsapi.accounts.permissions import Permissions
from itemsapi.accounts.usernames import normalize_username
from itemsapi.db import AnyRow

Reader = Connection | Session

_user, _role = User.core(), Role.core()
_gives, _has = RoleScope.core(), UserRole.core()


@dataclass(frozen=True, slots=True)
class IssuerUser:
    """A user as the issuer sees them; `password_expires_at` is None but for one-time passwords."""

    id: str
    username: str
    password_hash: str
    enabled: bool
    epoch: int
    password_expires_at: datetime | None

    @property
    def must_change_password(self) -> bool:
        """Tell whether the password was made for them, to be used once (S-119)."""
        return self.password_expires_at is not None

    def password_expired(self, now: datetime) -> bool:
        """Tell whether a one-time password is good no more."""
        return self.password_expires_at is not None and self.password_expires_at <= now


_COLUMNS = (
    _user.c.id,
    _user.c.username,
    _user.c.password_hash,
    _user.c.disabled_at,
    _user.c.epoch,
    _user.c.password_expires_at,
)
_BY_NAME = select(*_COLUMNS).where(_user.c.username == bindparam("name"))
_BY_ID = select(*_COLUMNS).where(_user.c.id == bindparam("id"))
_SCOPES = (
    select(Role.everything, RoleScope.scope)
    .select_from(UserRole)
    .join(Role, Role.name == UserRole.role)
    .outerjoin(RoleScope, RoleScope.role == Role.name)
    .where(UserRole.user_id == bindparam("id"))
)

SURVEYED_USERS = 5000  # users at each end of the table; some 10 ms
HASH_TAIL_LENGTH = 67  # characters of salt and digest in a PHC string, with the signs before them

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


def find_by_name(connection: Connection, username: str) -> IssuerUser | None:
    """Find a user by name."""
    return _issuer_user(
        connection.execute(_BY_NAME, {"name": normalize_username(username)}).first()
    )


def find_by_id(tx: Session | Connection, user_id: str, *, lock: bool = False) -> IssuerUser | None:
    """Find a user by id; with `hold` nobody changes them until the transaction ends."""
    wanted = _BY_ID.with_for_update(key_share=True) if lock else _BY_ID
    return _issuer_user(tx.execute(wanted, {"id": user_id}).first())


def hash_parameters(connection: Connection) -> list[str]:
    """Return what stored passwords begin with, the most frequent first: their parameters.

    The oldest and the newest users are looked at; of ten thousand that is everybody.
    """
    return [str(head) for head in connection.scalars(_HASH_PARAMETERS)]


def scopes_of(tx: Session, user_id: str, known: Iterable[str]) -> frozenset[str]:
    """Return the scopes that a user's roles give, among those that the application knows."""
    rows = tx.execute(_SCOPES, {"id": user_id}).all()
    known = frozenset(known)
    if any(everything for everything, _ in rows):
        return known
    return known & {scope for _, scope in rows}


def _issuer_user(row: AnyRow | None) -> IssuerUser | None:
    if row is None:
        return None
    return IssuerUser(
        id=row.id,
        username=row.username,
        password_hash=row.password_hash,
        enabled=row.disabled_at is None,
        epoch=row.epoch,
        password_expires_at=row.password_expires_at,
    )


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user with their roles, and nothing secret."""

    id: str
    username: str
    disabled: bool
    roles: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    version: int
    password_expires_at: datetime | None  # of a one-time password; any other has no end


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A role with the scopes it gives; `everything` stands for all there are."""

    name: str
    description: str
    everything: bool
    scopes: tuple[str, ...]

    @property
    def permissions(self) -> Permissions:
        """How far this role lets its holders go."""
        return Permissions(self.everything, frozenset(self.scopes))


def list_users(reader: Reader, *, after: str, limit: int, begins: str = "") -> list[UserRecord]:
    """Return up to `limit` users by name, those after the name `after` that begin with `begins`."""
    wanted = select(_user).where(_user.c.username > after).order_by(_user.c.username).limit(limit)
    if begins:
        wanted = wanted.where(_user.c.username.startswith(begins, autoescape=True))
    return _user_records(reader, wanted)


def get_user(reader: Reader, user_id: str) -> UserRecord | None:
    """Return one user."""
    return next(iter(_user_records(reader, select(_user).where(_user.c.id == user_id))), None)


def get_user_by_name(reader: Reader, name: str) -> UserRecord | None:
    """Return the user with this normal name."""
    return next(iter(_user_records(reader, select(_user).where(_user.c.username == name))), None)


def list_roles(reader: Reader, *, names: Iterable[str] | None = None) -> list[RoleRecord]:
    """Return all roles by name, or those of `names` that exist."""
    wanted = select(_role).order_by(_role.c.name)
    if names is not None:
        wanted = wanted.where(_role.c.name.in_(list(names)))
    rows = reader.execute(wanted).all()
    given = _scopes_of(reader, [row.name for row in rows])
    return [RoleRecord(row.name, row.description, row.everything, given[row.name]) for row in rows]


def permissions_of(reader: Reader, user_id: str) -> Permissions:
    """Return how far a user's roles let them go."""
    held = select(_has.c.role).where(_has.c.user_id == user_id)
    found = list_roles(reader, names=reader.execute(held).scalars())
    scopes = frozenset(scope for role in found for scope in role.scopes)
    return Permissions(any(role.everything for role in found), scopes)


def list_users_with_role(reader: Reader, role: str, *, limit: int) -> list[str]:
    """Return the ids of up to `limit` users who have a role, in one order for everybody."""
    wanted = select(_has.c.user_id).where(_has.c.role == role)
    return list(reader.execute(wanted.order_by(_has.c.user_id).limit(limit)).scalars())


def count_admins(reader: Reader) -> int:
    """Count the users who may sign in and do everything."""
    wanted = (
        select(func.count(_user.c.id.distinct()))
        .join(_has, _has.c.user_id == _user.c.id)
        .join(_role, _role.c.name == _has.c.role)
        .where(_role.c.everything, _user.c.disabled_at.is_(None))
    )
    return int(reader.execute(wanted).scalar_one())


def has_users(reader: Reader) -> bool:
    """Tell whether there is any user at all."""
    return reader.execute(select(_user.c.id).limit(1)).first() is not None


def _user_records(reader: Reader, wanted: Select[tuple[User]]) -> list[UserRecord]:
    rows = reader.execute(wanted).all()
    held = select(_has.c.user_id, _has.c.role).where(_has.c.user_id.in_([row.id for row in rows]))
    roles_of = _grouped([row.id for row in rows], reader.execute(held))
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


def _scopes_of(reader: Reader, names: list[str]) -> Mapping[str, tuple[str, ...]]:
    wanted = select(_gives.c.role, _gives.c.scope).where(_gives.c.role.in_(names))
    return _grouped(names, reader.execute(wanted))


def _grouped(
    keys: Iterable[str], pairs: Iterable[tuple[str, str]]
) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {key: [] for key in keys}
    for key, value in pairs:
        found[key].append(value)
    return {key: tuple(sorted(values)) for key, values in found.items()}
