"""Roles: named sets of scopes. Nobody puts a scope into a role that they do not have (S-084)."""

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
from itemsapi.problems import Conflict, Invalid, NotFound
from itemsapi.tokens.revocation import EVERYBODY, user_target

# Each revocation is kept in the memory of every process for an access token's life. Beyond this
# many it is cheaper that everybody refreshes once, which a client does by itself.
FEW = 100
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)


class RoleService:
    """The roles of this service."""

    def __init__(self, issuer: Issuer) -> None:
        """Work at a desk."""
        self._issuer = issuer

    def all(self) -> list[RoleRecord]:
        """Return all roles by name."""
        with self._issuer.database.reading() as connection:
            return repository.list_roles(connection)

    def put(
        self, operator: Operator, name: str, *, description: str, scopes: Iterable[str]
    ) -> tuple[RoleRecord, bool]:
        """Create a role or replace it; return it, and whether it is new.

        Raises `Invalid`, `Forbidden`, `Conflict` (it gives everything, and always will).
        """
        wanted = self._checked(name, frozenset(scopes))
        with admin_transaction(self._issuer, operator) as work:
            old = _changeable(work, name)
            work.demand(
                Permissions(everything=False, scopes=wanted),
                "You can give no scope that you do not have.",
            )
            self._write(work.tx, name, description, wanted)
            before = frozenset(old.scopes) if old else frozenset()
            if before != wanted:
                self._recall(work.tx, name)
            words = {"before": " ".join(sorted(before)), "after": " ".join(sorted(wanted))}
            self._record(work.tx, operator, name, **words)
            return repository.list_roles(work.tx, names=[name])[0], old is None

    def delete(self, operator: Operator, name: str) -> None:
        """Delete a role. Raises `NotFound`, `Forbidden`, `Conflict` (somebody has it)."""
        if not _NAME.fullmatch(name):
            raise NotFound
        with admin_transaction(self._issuer, operator) as work:  # nobody is given a role meanwhile
            old = _changeable(work, name)
            if old is None:
                raise NotFound
            if repository.list_users_with_role(work.tx, name, limit=1):
                raise Conflict("Somebody has this role; give them others first.")
            work.tx.execute(delete(Role).where(Role.name == name))
            self._record(work.tx, operator, name, before=" ".join(old.scopes), after=None)

    def _checked(self, name: str, scopes: frozenset[str]) -> frozenset[str]:
        if not _NAME.fullmatch(name):
            raise Invalid.at("name", "Write 1 to 40 of a-z, 0-9, _ and -, beginning with a letter.")
        if not scopes <= self._issuer.known_scopes():
            raise Invalid.at("scopes", "There is no such scope; see GET /scopes.")
        return scopes

    def _write(self, tx: Session, name: str, description: str, scopes: frozenset[str]) -> None:
        tx.merge(Role(name=name, description=description, everything=False))
        tx.flush()
        tx.execute(delete(RoleScope).where(RoleScope.role == name))
        tx.add_all(RoleScope(role=name, scope=scope) for scope in sorted(scopes))
        tx.flush()

    def _recall(self, tx: Session, name: str) -> None:
        """Void the access tokens of who has the role; their next refresh brings what holds now.

        Rows of users come before the feed, as everywhere: one order, no deadlock.
        """
        found = repository.list_users_with_role(tx, name, limit=FEW + 1)
        if len(found) > FEW:
            self._issuer.revocation_feed.revoke(tx, EVERYBODY)
        elif found:
            rows = select(User).where(User.id.in_(found)).order_by(User.id).with_for_update()
            users = tx.scalars(rows).all()
            epoch = self._issuer.revocation_feed.revoke(
                tx, *(user_target(user.id) for user in users)
            )
            for user in users:
                user.epoch = epoch

    def _record(self, tx: Session, operator: Operator, name: str, **words: str | None) -> None:
        event = "privilege_permissions_changed"
        self._issuer.audit.record(tx, event, actor_id=operator.user_id, role=name, **words)


def _changeable(work: AdminTransaction, name: str) -> RoleRecord | None:
    """Return the role that is to change, if it is there and within reach."""
    old = next(iter(repository.list_roles(work.tx, names=[name])), None)
    if old is not None and old.everything:
        raise Conflict("This role gives everything; it can be neither changed nor deleted.")
    if old is not None:
        work.demand(old.permissions, "This role goes further than your own.")
    return old
