"""Users: how operators create, change and disable them.

Each change is one transaction, with its audit event and its revocations. Disabling a user or
setting their password ends all their sessions; a change of roles revokes their access tokens
(S-067, S-183).
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.accounts.models import (
    ADMIN_ROLE,
    ALL_PERMISSIONS,
    COMMAND_LINE,
    Operator,
    User,
    UserRole,
    normalize_username,
    validate_username,
)
from itemsapi.accounts.password_policy import generate_password, validate_password
from itemsapi.accounts.passwords import TEMPORARY_PASSWORD_LIFETIME
from itemsapi.accounts.repository import UserRecord
from itemsapi.clock import new_id
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.roles import ADMIN_LOCK, AdminTransaction, admin_transaction
from itemsapi.issuer.sessions import (
    end_all_sessions_in,
    end_found_session_in,
    end_user_sessions_in,
    list_open_sessions,
    revoke_access_tokens,
)
from itemsapi.preconditions import ExpectedVersion
from itemsapi.problems import Conflict, Forbidden, NotFound, ValidationFailed


class UserService:
    """Manages the users of this service."""

    def __init__(self, issuer: Issuer) -> None:
        """Use an issuer."""
        self._issuer = issuer

    def list_page(self, *, after: str = "", limit: int, prefix: str = "") -> list[UserRecord]:
        """Return up to `limit` users in order of name, after the name `after`, with a prefix."""
        with self._issuer.database.reading() as connection:
            return repository.list_users(connection, after=after, limit=limit, prefix=prefix)

    def get(self, user_id: str) -> UserRecord:
        """Return a user by id. Raise `NotFound` if there is none."""
        with self._issuer.database.reading() as connection:
            user = repository.get_user(connection, user_id)
        return _require_found(user)

    def get_by_name(self, username: str) -> UserRecord:
        """Return a user by name. Raise `NotFound` if there is none."""
        with self._issuer.database.reading() as connection:
            user = repository.get_user_by_name(connection, normalize_username(username))
        if user is None:
            raise NotFound(f"There is no user {username}.")
        return user

    def create(
        self,
        operator: Operator,
        username: str,
        password: str,
        roles: Iterable[str] = (),
        *,
        temporary: bool = False,
    ) -> UserRecord:
        """Create a user; a user with a `temporary` password must change it within 7 days.

        Raise `ValidationFailed`, `Conflict` if the name is taken, `Forbidden` or `Busy`.
        """
        name, role_names = validate_username(username), frozenset(roles)
        password_hash = self._validated_hash(name, password)
        try:
            with admin_transaction(self._issuer, operator) as change:
                _require_roles(change, role_names)
                user = self._insert(change.tx, operator, name, password_hash, role_names)
                self._set_expiry(change.tx, user.id, temporary=temporary)
                change.tx.flush()
                return _require_found(repository.get_user(change.tx, user.id))
        except IntegrityError:
            raise Conflict(f"There is already a user {name}.") from None

    def create_first_admin(self, username: str) -> str | None:
        """Create an admin and return the password, or None if there already is a user.

        Of several processes that start at once, one creates it. In production the password is
        temporary.
        """
        name = validate_username(username)
        password = self.generate_password(name)
        password_hash = self._issuer.password_service.hash(password)
        with self._issuer.database.transaction() as tx:
            self._issuer.database.advisory_lock(tx, ADMIN_LOCK)
            if repository.has_users(tx):
                return None
            admin = self._insert(tx, COMMAND_LINE, name, password_hash, frozenset({ADMIN_ROLE}))
            self._set_expiry(tx, admin.id, temporary=self._issuer.settings.production)
        return password

    def generate_password(self, username: str) -> str:
        """Return a random password for a user, also for one who does not exist yet."""
        minimum = self._issuer.settings.password_min_length
        return generate_password(username=username, minimum=minimum)

    def is_empty(self) -> bool:
        """Return whether there is no user yet."""
        with self._issuer.database.reading() as connection:
            return not repository.has_users(connection)

    def change(
        self,
        operator: Operator,
        user_id: str,
        version: ExpectedVersion,
        *,
        disabled: bool | None = None,
        roles: Iterable[str] | None = None,
    ) -> UserRecord:
        """Disable or enable a user, set their roles, or both; None leaves a property unchanged.

        Raise `NotFound`, `PreconditionFailed`, `Forbidden`, `ValidationFailed` if a role does not
        exist, or `Conflict` if no enabled admin would be left.
        """
        with admin_transaction(self._issuer, operator, target_id=user_id) as change:
            target, admins = (
                change.load_target(user_id, version),
                repository.count_admins(change.tx),
            )
            if disabled is not None and disabled != target.disabled:
                self._set_disabled(change.tx, operator, target, disabled=disabled)
            if roles is not None and set(roles) != set(target.roles):
                self._set_roles(change, operator, target, frozenset(roles))
            if admins and not repository.count_admins(change.tx):
                raise Conflict("No admin would be left; give another user the role first.")
            return _require_found(repository.get_user(change.tx, user_id))

    def set_password(
        self, operator: Operator, user_id: str, password: str, *, temporary: bool = False
    ) -> None:
        """Set the password of another user and end their sessions; `temporary` as in `create`.

        Raise `NotFound`, `Forbidden`, `ValidationFailed` or `Busy`. Operators cannot set their own
        password here, because they would not have to prove the current one (S-042).
        """
        if operator.user_id == user_id:
            raise Forbidden(
                "Operators set the passwords of others; change your own with the current one."
            )
        password_hash = self._validated_hash(self.get(user_id).username, password)
        with admin_transaction(self._issuer, operator, target_id=user_id) as change:
            change.load_target(user_id)
            user = self._bump_version(change.tx, user_id)
            user.password_hash = password_hash
            self._set_expiry(change.tx, user_id, temporary=temporary)
            ids = {"user_id": user_id, "caller_id": operator.user_id}
            self._issuer.audit.record(change.tx, "authn_password_change", **ids, by="operator")
            self._end_sessions(change.tx, operator, user_id, "password set by an operator")

    def list_sessions(self, user_id: str) -> list[dict[str, Any]]:
        """Return the live sessions of a user, latest use first. Raise `NotFound`."""
        return list_open_sessions(self._issuer, self.get(user_id).id)

    def end_session(self, operator: Operator, user_id: str, session_id: str) -> None:
        """End one session of a user. Raise `Forbidden`, or `NotFound` unless it is theirs."""
        with admin_transaction(self._issuer, operator, target_id=user_id) as change:
            change.load_target(user_id)
            who, why = operator.user_id, "ended by an operator"
            end_found_session_in(
                self._issuer, change.tx, session_id, user_id, why=why, caller_id=who
            )

    def end_sessions(self, operator: Operator, user_id: str) -> int:
        """End all sessions of a user; return their number. Raise `NotFound` or `Forbidden`."""
        with admin_transaction(self._issuer, operator, target_id=user_id) as change:
            change.load_target(user_id)
            return self._end_sessions(change.tx, operator, user_id, "ended by an operator")

    def end_all_sessions(self, operator: Operator) -> None:
        """End all sessions of all users, the operator's own included.

        Raise `Forbidden` unless the operator is an admin: it ends sessions of admins too (S-117).
        """
        with admin_transaction(self._issuer, operator) as change:
            change.require(
                ALL_PERMISSIONS, "Some of the users have permissions that you do not have."
            )
            end_all_sessions_in(
                self._issuer, change.tx, why="ended by an operator", caller_id=operator.user_id
            )

    def _validated_hash(self, name: str, password: str) -> str:
        validate_password(
            password, username=name, minimum=self._issuer.settings.password_min_length
        )
        return self._issuer.password_service.hash(password)

    def _insert(
        self, tx: Session, operator: Operator, name: str, password_hash: str, roles: frozenset[str]
    ) -> UserRecord:
        now, user_id = self._issuer.clock(), new_id()
        tx.add(
            User(
                id=user_id,
                username=name,
                password_hash=password_hash,
                created_at=now,
                updated_at=now,
            )
        )
        tx.flush()
        tx.add_all(UserRole(user_id=user_id, role=role) for role in sorted(roles))
        ids = {"user_id": user_id, "caller_id": operator.user_id}
        self._issuer.audit.record(tx, "user_created", **ids, roles=" ".join(sorted(roles)))
        tx.flush()
        return _require_found(repository.get_user(tx, user_id))

    def _set_expiry(self, tx: Session, user_id: str, *, temporary: bool) -> None:
        """Set when a password expires: a temporary one in seven days, any other never (S-131)."""
        expires_at = self._issuer.clock() + TEMPORARY_PASSWORD_LIFETIME if temporary else None
        tx.get_one(User, user_id).password_expires_at = expires_at

    def _bump_version(self, tx: Session, user_id: str) -> User:
        """Give a user's row a new version and return it."""
        user = tx.get_one(User, user_id)
        user.version, user.updated_at = user.version + 1, self._issuer.clock()
        return user

    def _set_roles(
        self,
        change: AdminTransaction,
        operator: Operator,
        target: UserRecord,
        roles: frozenset[str],
    ) -> None:
        _require_roles(change, roles)
        tx = change.tx
        tx.execute(delete(UserRole).where(UserRole.user_id == target.id))
        tx.add_all(UserRole(user_id=target.id, role=role) for role in sorted(roles))
        self._bump_version(tx, target.id)
        tx.flush()
        before, after = " ".join(target.roles), " ".join(sorted(roles))
        ids = {"user_id": target.id, "caller_id": operator.user_id}
        self._issuer.audit.record(tx, "authz_change", **ids, before=before, after=after)
        revoke_access_tokens(self._issuer, tx, target.id)

    def _set_disabled(
        self, tx: Session, operator: Operator, target: UserRecord, *, disabled: bool
    ) -> None:
        user = self._bump_version(tx, target.id)
        user.disabled_at = self._issuer.clock() if disabled else None
        tx.flush()
        ids = {"user_id": target.id, "caller_id": operator.user_id}
        self._issuer.audit.record(tx, "user_updated", **ids, disabled=disabled)
        if disabled:
            self._end_sessions(tx, operator, target.id, "user disabled")

    def _end_sessions(self, tx: Session, operator: Operator, user_id: str, why: str) -> int:
        return end_user_sessions_in(
            self._issuer, tx, user_id, keep=None, why=why, caller_id=operator.user_id
        )


def _require_roles(change: AdminTransaction, names: frozenset[str]) -> None:
    """Raise unless the roles exist and the operator has all their permissions."""
    roles = repository.list_roles(change.tx, names=names)
    if len(roles) != len(names):
        raise ValidationFailed.at("roles", "There is no such role.")
    for role in roles:
        change.require(role.permissions, "You cannot give a role with more permissions than yours.")


def _require_found(user: UserRecord | None) -> UserRecord:
    if user is None:
        raise NotFound
    return user
