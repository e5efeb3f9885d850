"""Authority: what the one who changes people or roles may change, read anew with the change.

The token says what was granted when it was made; the roles in the database say what holds now. Who
acts has what both give, so neither a narrowed token nor one from before a demotion goes further.
Such changes are made one at a time, over all processes: the checks hold until the commit (S-196).
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
from itemsapi.preconditions import Expected, check_version
from itemsapi.problems import Forbidden, NotFound

ADMIN_LOCK = 7_203  # the advisory lock of those who change people and roles


@dataclass(frozen=True, slots=True)
class AdminTransaction:
    """A change under way: its transaction, and how far the one who makes it may go."""

    tx: Session
    reach: Permissions

    def target(self, user_id: str, version: Expected = None) -> UserRecord:
        """Return a user whom this change may concern; nobody else changes them meanwhile.

        Raises `NotFound`, `Forbidden`, or `PreconditionFailed` if they are not at `version`.
        """
        self.tx.get(User, user_id, with_for_update=True)  # before the feed: one order, no deadlock
        found = repository.get_user(self.tx, user_id)
        if found is None:
            raise NotFound
        self.demand(
            repository.permissions_of(self.tx, user_id), "This user may do things that you may not."
        )
        check_version(version, found.version)
        return found

    def demand(self, wanted: Permissions, otherwise: str) -> None:
        """Raise `Forbidden` if `wanted` goes further than the one who acts."""
        if not self.reach.covers(wanted):
            raise Forbidden(otherwise)


@contextmanager
def admin_transaction(
    issuer: Issuer, operator: Operator, *, of: str | None = None
) -> Iterator[AdminTransaction]:
    """Open a change of people or roles, of the user `of` if it is of one.

    A `Forbidden` raised within undoes the change, is written down, and goes on (S-149).
    """
    try:
        with issuer.database.transaction() as tx:
            issuer.database.advisory_lock(tx, ADMIN_LOCK)
            yield AdminTransaction(tx, _reach(issuer, tx, operator))
    except Forbidden as refusal:
        with issuer.database.transaction() as tx:
            issuer.audit.record(
                tx, "authz_fail", actor_id=operator.user_id, user_id=of, why=refusal.detail
            )
        raise


def _reach(issuer: Issuer, tx: Session, operator: Operator) -> Permissions:
    if operator.user_id is None:
        return ALL_PERMISSIONS
    user = repository.find_by_id(tx, operator.user_id)
    if user is None or not user.enabled:
        raise Forbidden
    own = repository.permissions_of(tx, operator.user_id)
    if own.everything:
        return Permissions(
            everything=operator.scopes >= issuer.known_scopes(), scopes=operator.scopes
        )
    return Permissions(everything=False, scopes=own.scopes & operator.scopes)
