"""Roles: named sets of scopes. Operators can only give scopes that they have (S-084)."""

import re
from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.accounts.models import Role, RoleScope, User
from itemsapi.accounts.permissions import Operator, Permissions
from itemsapi.accounts.repository import RoleRecord
from itemsapi.issuer.authorization import AdminTransaction, admin_transaction
from itemsapi.issuer.issuer import Issuer
from itemsapi.problems import Conflict, NotFound, ValidationFailed
from itemsapi.tokens.revocation import ALL_USERS, user_target
from itemsapi.tokens.scopes import format_scopes

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

        The rows of users are locked before the feed: one lock order everywhere, no deadlock.
        """
        user_ids = repository.list_users_with_role(tx, name, limit=MAX_REVOKED_USERS + 1)
        if len(user_ids) > MAX_REVOKED_USERS:
            self._issuer.revocation_feed.revoke(tx, ALL_USERS)
        elif user_ids:
            rows = select(User).where(User.id.in_(user_ids)).order_by(User.id).with_for_update()
            users = tx.scalars(rows).all()
            epoch = self._issuer.revocation_feed.revoke(
                tx, *(user_target(user.id) for user in users)
            )
            for user in users:
                user.epoch = epoch

    def _record(self, tx: Session, operator: Operator, name: str, **details: str | None) -> None:
        event = "privilege_permissions_changed"
        self._issuer.audit.record(tx, event, actor_id=operator.user_id, role=name, **details)


def _find_changeable(change: AdminTransaction, name: str) -> RoleRecord | None:
    """Return the role, or None if it does not exist. Raise unless the operator may change it."""
    role = next(iter(repository.list_roles(change.tx, names=[name])), None)
    if role is not None and role.everything:
        raise Conflict("The role with all permissions cannot be changed or deleted.")
    if role is not None:
        change.require(role.permissions, "This role has permissions that you do not have.")
    return role
