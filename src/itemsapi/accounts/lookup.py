"""What the issuer asks about a user: who has this name, are they enabled, what may they do.

Core rows and fixed statements: this runs at every sign-in and refresh.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, union_all
from sqlalchemy.orm import Session

from itemsapi.accounts.models import Role, RoleScope, User, UserRole
from itemsapi.accounts.usernames import normalize_username
from itemsapi.db import AnyRow


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


_user = User.core()
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
    .where(UserRole.account_id == bindparam("id"))
)

SURVEYED_USERS = 5000  # users at each end of the table; some 10 ms
HASH_TAIL_LENGTH = 67  # characters of salt and digest in a PHC string, with the signs before them

_ends = union_all(
    *(
        select(select(_user.c.password_hash).order_by(order).limit(SURVEYED_USERS).subquery())
        for order in (_user.c.id, _user.c.id.desc())
    )
).subquery()
_parameters = func.substr(_ends.c.password_hash, 1, func.length(_ends.c.password_hash) - HASH_TAIL_LENGTH)
_HASH_PARAMETERS = (
    select(_parameters)
    .where(func.length(_ends.c.password_hash) > HASH_TAIL_LENGTH)
    .group_by(_parameters)
    .order_by(func.count().desc())
    .limit(16)
)


def find_by_name(connection: Connection, username: str) -> IssuerUser | None:
    """Find a user by name."""
    return _issuer_user(connection.execute(_BY_NAME, {"name": normalize_username(username)}).first())


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
