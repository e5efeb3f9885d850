"""People: users as operators create, disable and change them.

Every change is one transaction with its audit event and what it takes back: who is disabled loses
all sessions, who gets other roles or another password loses the tokens made before (S-067, S-183).
"""

from collections.abc import Iterable

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.accounts.models import User, UserRole
from itemsapi.accounts.password_policy import validate_password
from itemsapi.accounts.passwords import TEMPORARY_PASSWORD_LIFETIME, temporary_password
from itemsapi.accounts.permissions import ALL_PERMISSIONS, COMMAND_LINE, Operator
from itemsapi.accounts.repository import UserRecord
from itemsapi.accounts.usernames import normalize_username, validate_username
from itemsapi.clock import new_id
from itemsapi.issuer.authorization import ADMIN_LOCK, AdminTransaction, admin_transaction
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.sessions import finish_all, finish_everybodys, recall_tokens
from itemsapi.preconditions import Expected
from itemsapi.problems import Conflict, Forbidden, Invalid, NotFound

ADMIN = "admin"  # the role that a new database brings along; it gives everything


class UserService:
    """The users of this service, and what operators may do to them."""

    def __init__(self, issuer: Issuer) -> None:
        """Work at a desk."""
        self._issuer = issuer

    def page(self, *, after: str = "", limit: int, begins: str = "") -> list[UserRecord]:
        """Return up to `limit` users by name, after a name, whose names begin with `begins`."""
        with self._issuer.database.reading() as connection:
            return repository.list_users(connection, after=after, limit=limit, begins=begins)

    def find(self, user_id: str) -> UserRecord:
        """Return a user by id. Raises `NotFound`."""
        with self._issuer.database.reading() as connection:
            found = repository.get_user(connection, user_id)
        return _there(found)

    def named(self, username: str) -> UserRecord:
        """Return a user by name. Raises `NotFound`."""
        with self._issuer.database.reading() as connection:
            found = repository.get_user_by_name(connection, normalize_username(username))
        if found is None:
            raise NotFound(f"There is no user {username}.")
        return found

    def create(
        self,
        operator: Operator,
        username: str,
        password: str,
        roles: Iterable[str] = (),
        *,
        one_time: bool = False,
    ) -> UserRecord:
        """Create a user; one whose password is `one_time` must set another one within 7 days.

        Raises `Invalid`, `Conflict` (the name is taken), `Forbidden`, `Busy`.
        """
        name, wanted = validate_username(username), frozenset(roles)
        stored = self._hashed(name, password)
        try:
            with admin_transaction(self._issuer, operator) as work:
                _demand_roles(work, wanted)
                person = self._enrol(work.tx, operator, name, stored, wanted)
                self._set_expiry(work.tx, person.id, one_time=one_time)
                work.tx.flush()
                return _there(repository.get_user(work.tx, person.id))
        except IntegrityError:
            raise Conflict(f"There is a user {name} already.") from None

    def first_admin(self, username: str) -> str | None:
        """Create an admin if there is no user at all; return the password, which nobody else knows.

        Of several processes that start at once, one does. In production it must be changed.
        """
        name, password = validate_username(username), temporary_password()
        stored = self._issuer.password_service.hash(password)
        with self._issuer.database.transaction() as tx:
            self._issuer.database.advisory_lock(tx, ADMIN_LOCK)
            if repository.has_users(tx):
                return None
            admin = self._enrol(tx, COMMAND_LINE, name, stored, frozenset({ADMIN}))
            self._set_expiry(tx, admin.id, one_time=self._issuer.settings.production)
        return password

    def nobody(self) -> bool:
        """Tell whether there is no user yet."""
        with self._issuer.database.reading() as connection:
            return not repository.has_users(connection)

    def change(
        self,
        operator: Operator,
        user_id: str,
        version: Expected,
        *,
        disabled: bool | None = None,
        roles: Iterable[str] | None = None,
    ) -> UserRecord:
        """Disable or enable a user, set their roles, or both; what is None stays.

        Raises `NotFound`, `PreconditionFailed`, `Forbidden`, `Invalid` (a role that is not there),
        `Conflict` (nobody would be left who may do everything).
        """
        with admin_transaction(self._issuer, operator, of=user_id) as work:
            target, admins = work.target(user_id, version), repository.count_admins(work.tx)
            if disabled is not None and disabled != target.disabled:
                self._set_disabled(work.tx, operator, target, disabled=disabled)
            if roles is not None and set(roles) != set(target.roles):
                self._set_roles(work, operator, target, frozenset(roles))
            if admins and not repository.count_admins(work.tx):
                raise Conflict("Nobody would be left who may do everything; appoint one first.")
            return _there(repository.get_user(work.tx, user_id))

    def set_password(
        self, operator: Operator, user_id: str, password: str, *, one_time: bool = False
    ) -> None:
        """Set the password of somebody else and end their sessions; `one_time` as in `create`.

        Raises `NotFound`, `Forbidden`, `Invalid`, `Busy`. Nobody sets their own this way: that
        would spare them proving the one they have (S-042).
        """
        if operator.user_id == user_id:
            raise Forbidden("Change your own password with POST /me/password.")
        stored = self._hashed(self.find(user_id).username, password)
        with admin_transaction(self._issuer, operator, of=user_id) as work:
            work.target(user_id)
            user = self._touched(work.tx, user_id)
            user.password_hash = stored
            self._set_expiry(work.tx, user_id, one_time=one_time)
            who = {"user_id": user_id, "actor_id": operator.user_id}
            self._issuer.audit.record(work.tx, "authn_password_change", **who, by="operator")
            self._finish(work.tx, operator, user_id, "password set by an operator")

    def end_sessions(self, operator: Operator, user_id: str) -> int:
        """End all sessions of a user; return how many there were.

        Raises `NotFound`, `Forbidden`.
        """
        with admin_transaction(self._issuer, operator, of=user_id) as work:
            work.target(user_id)
            return self._finish(work.tx, operator, user_id, "ended by an operator")

    def end_everybodys_sessions(self, operator: Operator) -> None:
        """End every session there is, that of the one who asks with them. Raises `Forbidden`.

        Admins are among everybody, so it takes one (S-117).
        """
        with admin_transaction(self._issuer, operator) as work:
            work.demand(ALL_PERMISSIONS, "Among them are users who may do things that you may not.")
            finish_everybodys(
                self._issuer, work.tx, why="ended by an operator", actor=operator.user_id
            )

    def _hashed(self, name: str, password: str) -> str:
        validate_password(
            password, username=name, minimum=self._issuer.settings.password_min_length
        )
        return self._issuer.password_service.hash(password)

    def _enrol(
        self, tx: Session, operator: Operator, name: str, stored: str, roles: frozenset[str]
    ) -> UserRecord:
        now, user_id = self._issuer.clock(), new_id()
        user = User(id=user_id, username=name, password_hash=stored, created_at=now, updated_at=now)
        tx.add(user)
        tx.flush()
        tx.add_all(UserRole(user_id=user_id, role=role) for role in sorted(roles))
        who = {"user_id": user_id, "actor_id": operator.user_id}
        self._issuer.audit.record(tx, "user_created", **who, roles=" ".join(sorted(roles)))
        tx.flush()
        return _there(repository.get_user(tx, user_id))

    def _set_expiry(self, tx: Session, user_id: str, *, one_time: bool) -> None:
        """Let a one-time password be good for its seven days, and any other for ever (S-131)."""
        ends = self._issuer.clock() + TEMPORARY_PASSWORD_LIFETIME if one_time else None
        tx.get_one(User, user_id).password_expires_at = ends

    def _touched(self, tx: Session, user_id: str) -> User:
        """Return a user's row as a new version."""
        user = tx.get_one(User, user_id)
        user.version, user.updated_at = user.version + 1, self._issuer.clock()
        return user

    def _set_roles(
        self, work: AdminTransaction, operator: Operator, target: UserRecord, roles: frozenset[str]
    ) -> None:
        _demand_roles(work, roles)
        tx = work.tx
        tx.execute(delete(UserRole).where(UserRole.user_id == target.id))
        tx.add_all(UserRole(user_id=target.id, role=role) for role in sorted(roles))
        self._touched(tx, target.id)
        tx.flush()
        before, after = " ".join(target.roles), " ".join(sorted(roles))
        who = {"user_id": target.id, "actor_id": operator.user_id}
        self._issuer.audit.record(tx, "authz_change", **who, before=before, after=after)
        recall_tokens(self._issuer, tx, target.id)

    def _set_disabled(
        self, tx: Session, operator: Operator, target: UserRecord, *, disabled: bool
    ) -> None:
        user = self._touched(tx, target.id)
        user.disabled_at = self._issuer.clock() if disabled else None
        tx.flush()
        who = {"user_id": target.id, "actor_id": operator.user_id}
        self._issuer.audit.record(tx, "user_updated", **who, disabled=disabled)
        if disabled:
            self._finish(tx, operator, target.id, "user disabled")

    def _finish(self, tx: Session, operator: Operator, user_id: str, why: str) -> int:
        return finish_all(self._issuer, tx, user_id, keep=None, why=why, actor=operator.user_id)


def _demand_roles(work: AdminTransaction, names: frozenset[str]) -> None:
    """Let roles be given that exist and go no further than the one who gives them."""
    found = repository.list_roles(work.tx, names=names)
    if len(found) != len(names):
        raise Invalid.at("roles", "There is no such role.")
    for role in found:
        work.demand(role.permissions, "You can give no role that goes further than your own.")


def _there(found: UserRecord | None) -> UserRecord:
    if found is None:
        raise NotFound
    return found
