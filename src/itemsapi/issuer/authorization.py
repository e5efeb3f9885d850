"""Authorization of operators: what they may change, checked in the transaction of the change.

The scopes of a token were granted when it was issued; the roles in the database apply now. An
operator has the intersection of both, so neither a narrowed token nor one from before a demotion
permits more. Only one such change runs at a time, across all processes, so that the result of the
checks is valid until the commit (S-196).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.accounts.models import User
from itemsapi.accounts.permissions import ALL_PERMISSIONS, Operator, Permissions
from itemsapi.accounts.repository import UserRecord
from itemsapi.issuer.issuer import Issuer
from itemsapi.preconditions import ExpectedVersion, check_version
from itemsapi.problems import Forbidden, NotFound

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
        self.tx.get(User, user_id, with_for_update=True)  # before the feed: one lock order
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
                tx, "authz_fail", actor_id=operator.user_id, user_id=target_id, why=error.detail
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
