"""User state: what the layer keeps about a user, whoever's user it is.

One row for each user who signed in: the epoch of their tokens, and digests of the password hash
that their sessions belong to. The row is also the lock of the user: sign-ins, refreshes and changes
of one user take turns by it. It does not refer to a table of users, because that may be anywhere.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, String, bindparam, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db import AnyRow, Lookup, Model, fetch_first
from itemsapi.user_ids import MAX_USER_ID_LENGTH

MAX_DIGESTS = 16  # of the current hash, and of those that sign-ins at the same time may store
DIGEST_BYTES = 16


class StoredUserState(Model):
    """The row of a user.

    `epoch`: part of the user's access tokens; those with an earlier one are revoked
    (docs/adr/0004). `password_digests`: separated by spaces; null before the first sign-in.
    """

    __tablename__ = "itemsapi_user_state"

    user_id: Mapped[str] = mapped_column(String(MAX_USER_ID_LENGTH), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    password_digests: Mapped[str | None] = mapped_column(
        String(MAX_DIGESTS * (2 * DIGEST_BYTES + 1))
    )


@dataclass(frozen=True, slots=True)
class UserState:
    """The epoch of a user, and the digests of the password hashes that their sessions accept."""

    epoch: int = 0
    password_digests: tuple[str, ...] | None = None

    def knows_password(self, password_hash: str | None) -> bool:
        """Return whether sessions that were opened before belong to this password hash."""
        return self.password_digests is None or digest(password_hash) in self.password_digests

    def digests_after_sign_in(
        self, password_hash: str | None, replacement: str | None
    ) -> tuple[str, ...]:
        """Return the digests to keep after a sign-in with `password_hash`.

        `replacement` is about to replace it. Another sign-in may be about to replace it too, and
        only one of them will: the digests of all are kept until one has.
        """
        current = digest(password_hash)
        others: Sequence[str] = ()
        if self.password_digests and self.password_digests[0] == current:
            others = self.password_digests[1:]
        if replacement is None:
            return (current, *others)
        return (current, *others[-(MAX_DIGESTS - 2) :], digest(replacement))


_table = StoredUserState.core()
_READ = select(_table.c.epoch, _table.c.password_digests).where(
    _table.c.user_id == bindparam("user_id")
)
_LOCK = Lookup(_READ.with_for_update())
_CREATE = text(
    "INSERT INTO itemsapi_user_state (user_id, epoch) VALUES (:user_id, 0)"
    " ON CONFLICT (user_id) DO NOTHING"
)
_SET_EPOCH = (
    update(_table).where(_table.c.user_id == bindparam("user")).values(epoch=bindparam("new"))
)
_SET_DIGESTS = (
    update(_table)
    .where(_table.c.user_id == bindparam("user"))
    .values(password_digests=bindparam("new"))
)


def digest(password_hash: str | None) -> str:
    """Return a digest of a password hash, from which the hash cannot be found."""
    return hashlib.sha256((password_hash or "").encode()).hexdigest()[: 2 * DIGEST_BYTES]


def read_user_state(connection: Connection, user_id: str) -> UserState:
    """Return the state of a user, without a lock."""
    return _state(connection.execute(_READ, {"user_id": user_id}).first())


def lock_user(tx: Session, user_id: str) -> UserState:
    """Lock a user until the transaction ends; return their state. Create the row if needed."""
    row = fetch_first(tx, _LOCK, {"user_id": user_id})
    if row is None:
        tx.execute(_CREATE, {"user_id": user_id})
        row = fetch_first(tx, _LOCK, {"user_id": user_id})
    return _state(row)


def lock_users(tx: Session, user_ids: Iterable[str]) -> list[str]:
    """Lock several users, always in the same order; return their ids in that order."""
    ordered = sorted(user_ids)
    for user_id in ordered:
        lock_user(tx, user_id)
    return ordered


def set_epochs(tx: Session, user_ids: Sequence[str], epoch: int) -> None:
    """Store the new epoch of users that are locked."""
    tx.execute(_SET_EPOCH, [{"user": user_id, "new": epoch} for user_id in user_ids])


def set_password_digests(tx: Session, user_id: str, digests: Sequence[str]) -> None:
    """Store the digests of the password hashes that the sessions of a locked user accept."""
    tx.execute(_SET_DIGESTS, {"user": user_id, "new": " ".join(digests)})


def _state(row: AnyRow | None) -> UserState:
    if row is None:
        return UserState()
    digests = row.password_digests
    return UserState(row.epoch, None if digests is None else tuple(digests.split()))
