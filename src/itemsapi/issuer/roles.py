"""Roles: named sets of scopes. Operators can only give scopes that they have (S-084)."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import delete
from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.accounts.models import ALL_PERMISSIONS, Operator, Permissions, Role, RoleScope
from itemsapi.accounts.repository import RoleRecord, UserRecord
from itemsapi.accounts.user_state import lock_user, lock_users, set_epochs
from itemsapi.audit import EventName
from itemsapi.issuer.issuer import Issuer
from itemsapi.preconditions import ExpectedVersion, check_version
from itemsapi.problems import Conflict, Forbidden, NotFound, ValidationFailed
from itemsapi.tokens.revocation import ALL_USERS, user_target
from itemsapi.tokens.scopes import format_scopes

# Authorization of operators: what they may change, checked in the transaction of the change.
#
# The scopes of a token were granted when it was issued; the roles in the database apply now. An
# operator has the intersection of both, so neither a narrowed token nor one from before a demotion
# permits more. Only one such change runs at a time, across all processes, so that the result of the
# checks is valid until the commit (S-196).

ADMIN_LOCK = 7_203  # the id of the advisory lock for changes of users and roles


@dataclass(frozen=True, slots=True)
class AdminTransaction:
    """A change by an operator: its transaction, and the operator's permissions."""

    tx: Session
    permissions: Permissions

    def load_target(self, user_id: str, version: ExpectedVersion = None) -> UserRecord:
        """Lock and return the user to change.

        Raise `NotFound`, `Forbidden` if the user has more permissions than the operator, or
        `PreconditionFailed` unless the user is at `version`.
        """
        lock_user(self.tx, user_id)  # before the feed: one lock order
        user = repository.get_user(self.tx, user_id)
        if user is None:
            raise NotFound
        self.require(
            repository.load_permissions(self.tx, user_id),
            "This user has permissions that you do not have.",
        )
        check_version(version, user.version)
        return user

    def require(self, permissions: Permissions, message: str) -> None:
        """Raise `Forbidden` unless the operator has all of these permissions."""
        if not self.permissions.covers(permissions):
            raise Forbidden(message)


@contextmanager
def admin_transaction(
    issuer: Issuer, operator: Operator, *, target_id: str | None = None
) -> Iterator[AdminTransaction]:
    """Open a transaction that changes roles or users; `target_id` is the user to change, if any.

    A `Forbidden` raised in the block rolls the change back, is audited and raised again (S-149).
    """
    try:
        with issuer.database.transaction() as tx:
            issuer.database.advisory_lock(tx, ADMIN_LOCK)
            yield AdminTransaction(tx, _effective_permissions(issuer, tx, operator))
    except Forbidden as error:
        with issuer.database.transaction() as tx:
            issuer.audit.record(
                tx, "authz_fail", caller_id=operator.user_id, user_id=target_id, why=error.detail
            )
        raise


def _effective_permissions(issuer: Issuer, tx: Session, operator: Operator) -> Permissions:
    if operator.user_id is None:
        return ALL_PERMISSIONS
    user = repository.find_by_id(tx, operator.user_id)
    if user is None or not user.enabled:
        raise Forbidden
    from_roles = repository.load_permissions(tx, operator.user_id)
    if from_roles.everything:
        return Permissions(
            everything=operator.scopes >= issuer.known_scopes(), scopes=operator.scopes
        )
    return Permissions(everything=False, scopes=from_roles.scopes & operator.scopes)


# Every process keeps each revocation in memory for the lifetime of an access token. If a role has
# more users than this, it is cheaper to revoke the access tokens of all users: clients refresh.
MAX_REVOKED_USERS = 100
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)


class RoleService:
    """Manages the roles of this service."""

    def __init__(self, issuer: Issuer) -> None:
        """Use an issuer."""
        self._issuer = issuer

    def all(self) -> list[RoleRecord]:
        """Return all roles in order of name."""
        with self._issuer.database.reading() as connection:
            return repository.list_roles(connection)

    def put(
        self, operator: Operator, name: str, *, description: str, scopes: Iterable[str]
    ) -> tuple[RoleRecord, bool]:
        """Create or replace a role; return it, and whether it is new.

        Raise `ValidationFailed`, `Forbidden`, or `Conflict` if it is the role with all permissions.
        """
        new_scopes = self._validate(name, frozenset(scopes))
        with admin_transaction(self._issuer, operator) as change:
            old = _find_changeable(change, name)
            change.require(
                Permissions(everything=False, scopes=new_scopes),
                "You cannot give a scope that you do not have.",
            )
            self._write(change.tx, name, description, new_scopes)
            old_scopes = frozenset(old.scopes) if old else frozenset()
            if old_scopes != new_scopes:
                self._revoke_access_tokens(change.tx, name)
            before, after = format_scopes(old_scopes), format_scopes(new_scopes)
            self._record(change.tx, operator, name, before=before, after=after)
            return repository.list_roles(change.tx, names=[name])[0], old is None

    def delete(self, operator: Operator, name: str) -> None:
        """Delete a role. Raise `NotFound`, `Forbidden`, or `Conflict` if a user has it."""
        if not _NAME.fullmatch(name):
            raise NotFound
        with admin_transaction(self._issuer, operator) as change:  # locks out changes of users
            old = _find_changeable(change, name)
            if old is None:
                raise NotFound
            if repository.list_users_with_role(change.tx, name, limit=1):
                raise Conflict("A user has this role; give them other roles first.")
            change.tx.execute(delete(Role).where(Role.name == name))
            self._record(change.tx, operator, name, before=" ".join(old.scopes), after=None)

    def _validate(self, name: str, scopes: frozenset[str]) -> frozenset[str]:
        if not _NAME.fullmatch(name):
            raise ValidationFailed.at(
                "name", "Write 1 to 40 of a-z, 0-9, _ and -, beginning with a letter."
            )
        if not scopes <= self._issuer.known_scopes():
            raise ValidationFailed.at("scopes", "There is no such scope; see GET /scopes.")
        return scopes

    def _write(self, tx: Session, name: str, description: str, scopes: frozenset[str]) -> None:
        tx.merge(Role(name=name, description=description, everything=False))
        tx.flush()
        tx.execute(delete(RoleScope).where(RoleScope.role == name))
        tx.add_all(RoleScope(role=name, scope=scope) for scope in sorted(scopes))
        tx.flush()

    def _revoke_access_tokens(self, tx: Session, name: str) -> None:
        """Revoke the access tokens of the role's users; their next refresh applies the new scopes.

        The users are locked before the feed: one lock order everywhere, no deadlock.
        """
        user_ids = repository.list_users_with_role(tx, name, limit=MAX_REVOKED_USERS + 1)
        if len(user_ids) > MAX_REVOKED_USERS:
            self._issuer.revocation_feed.revoke(tx, ALL_USERS)
        elif user_ids:
            locked = lock_users(tx, user_ids)
            epoch = self._issuer.revocation_feed.revoke(tx, *map(user_target, locked))
            set_epochs(tx, locked, epoch)

    def _record(self, tx: Session, operator: Operator, name: str, **details: str | None) -> None:
        event: EventName = "privilege_permissions_changed"
        self._issuer.audit.record(tx, event, caller_id=operator.user_id, role=name, **details)


def _find_changeable(change: AdminTransaction, name: str) -> RoleRecord | None:
    """Return the role, or None if it does not exist. Raise unless the operator may change it."""
    role = next(iter(repository.list_roles(change.tx, names=[name])), None)
    if role is not None and role.everything:
        raise Conflict("The role with all permissions cannot be changed or deleted.")
    if role is not None:
        change.require(role.permissions, "This role has permissions that you do not have.")
    return role
