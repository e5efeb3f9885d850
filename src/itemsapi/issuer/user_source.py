"""User source: where the issuer reads users and replaces their password hashes.

`LayerUsers` are the layer's own tables: everything is read and written in the transaction of the
flow. `ApplicationUsers` are the users of an application, behind the protocol `Users`: its methods
are called outside of transactions, because they may write to the same database, which on SQLite
would wait for the layer's own transaction.

In both, the epochs are read before the user and their scopes: if those change in between, the new
tokens have an older epoch than the change, and are invalid (docs/adr/0004).
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from itemsapi.accounts import repository
from itemsapi.accounts.models import MAX_USERNAME_LENGTH, normalize_username
from itemsapi.accounts.user_state import (
    UserState,
    digest,
    lock_user,
    read_user_state,
    set_password_digests,
)
from itemsapi.accounts.users import (
    FindsInTransaction,
    UserAccount,
    Users,
    fold_username,
)
from itemsapi.clock import Clock
from itemsapi.db import Database
from itemsapi.issuer.checked_users import CheckedUsers
from itemsapi.observability.logging import log, summarize_error
from itemsapi.problems import Unavailable
from itemsapi.tokens.revocation import Epochs, load_global_epochs
from itemsapi.tokens.scopes import ScopeRegistry
from itemsapi.user_ids import MAX_USER_ID_LENGTH, is_user_id

MAX_WARNINGS = 1000  # unknown scopes that are remembered
MAX_SHOWN_SCOPE_LENGTH = 80


class CredentialsChanged(Exception):
    """The stored credentials changed during the verification: verify again."""


@dataclass(frozen=True, slots=True)
class UserTransaction:
    """A transaction in which a user is locked, and what was read of them.

    `read_at` is from before `epochs` and `state` were read; they are from before `user` and
    `scopes`. `locked_state` is from after them, so it may be a later one. `is_missing` means
    that the user of an application does not exist, and is not only hidden by a filter.
    """

    tx: Session
    read_at: datetime
    epochs: Epochs
    state: UserState
    user: UserAccount | None
    scopes: frozenset[str]
    locked_state: UserState
    is_missing: bool = False

    @property
    def epoch(self) -> int:
        """The epoch of new access tokens: the later one of the user and of everybody."""
        return max(self.state.epoch, self.epochs.tokens)

    @property
    def knows_password(self) -> bool:
        """Whether the sessions belong to the user's password hash, as it was when it was read.

        A sign-in may have announced the hash and stored it since the first look at the state.
        """
        stored = self.user.password_hash if self.user else None
        return self.state.knows_password(stored) or self.locked_state.knows_password(stored)

    @property
    def is_current(self) -> bool:
        """Whether no change of the password came between reading the user and the lock."""
        stored = self.user.password_hash if self.user else None
        is_unchanged = self.state.password_digests == self.locked_state.password_digests
        return is_unchanged or self.locked_state.knows_password(stored)


class UserSource(Protocol):
    """The users of the layer or of an application."""

    @property
    def read_only(self) -> bool:
        """Whether password hashes are never replaced."""

    @property
    def reuses_ids(self) -> bool:
        """Whether another user may get the id of a deleted one (S-122)."""

    @property
    def can_join(self) -> bool:
        """Whether users can be read in a transaction of the application, and so in its commit."""

    def find_by_name(self, username: str) -> UserAccount | None:
        """Return the user who signs in with this name."""

    def find_by_id(self, user_id: str, connection: Connection | None = None) -> UserAccount | None:
        """Return the user with this id, as a transaction of the application has them if given."""

    def is_hidden(self, user_id: str, connection: Connection | None = None) -> bool:
        """Return whether a user who is not found exists: a filter of the application hides them."""

    def find_with_scopes(self, user_id: str) -> tuple[UserAccount | None, frozenset[str]]:
        """Return the user with this id and their scopes that the application knows."""

    def attempt_name(self, username: str) -> str:
        """Return the form of a name in which attempts at its password are counted."""

    def password_hashes(self) -> Iterable[str]:
        """Return stored password hashes of each kind in use, or only their parameters (S-113)."""

    def transaction(
        self, user_id: str, *, new_hash: str | None = None
    ) -> AbstractContextManager[UserTransaction]:
        """Open a transaction with a locked user.

        `new_hash` is another hash of the same password; it replaces the stored one, unless that
        changed, at the end of the transaction or after it.
        """

    def changing_password(
        self, user: UserAccount, new_hash: str
    ) -> AbstractContextManager[UserTransaction]:
        """Store the hash of a new password, and open a transaction with the locked user.

        Raise `CredentialsChanged` if `user` is not the current state.
        """


@dataclass(frozen=True, slots=True)
class LayerUsers:
    """The layer's own tables of users and roles."""

    database: Database
    clock: Clock
    scope_registry: ScopeRegistry
    read_only: bool = False
    reuses_ids: bool = False
    can_join: bool = True

    def find_by_name(self, username: str) -> UserAccount | None:
        """Return the user with this name, in any case."""
        return repository.find_by_name(self.database, username)

    def find_by_id(self, user_id: str, connection: Connection | None = None) -> UserAccount | None:
        """Return the user with this id."""
        if connection is not None:
            return repository.find_by_id(connection, user_id)
        with self.database.reading() as own:
            return repository.find_by_id(own, user_id)

    def is_hidden(self, user_id: str, connection: Connection | None = None) -> bool:  # noqa: ARG002
        """Return False: nothing hides a user of the layer."""
        return False

    def find_with_scopes(self, user_id: str) -> tuple[UserAccount | None, frozenset[str]]:
        """Return the user with this id and the scopes of their roles."""
        with self.database.reading() as connection:
            return repository.find_with_scopes(connection, user_id, self.scope_registry.names)

    def attempt_name(self, username: str) -> str:
        """Return the normal form of a name, cut to the maximum length."""
        return normalize_username(username)[:MAX_USERNAME_LENGTH]

    def password_hashes(self) -> Iterable[str]:
        """Return the parameters of stored password hashes."""
        with self.database.reading() as connection:
            return repository.load_hash_parameters(connection)

    @contextmanager
    def transaction(
        self, user_id: str, *, new_hash: str | None = None
    ) -> Iterator[UserTransaction]:
        """Open a transaction with a locked user: a change of their roles waits for its end."""
        read_at = self.clock()
        with self.database.transaction() as tx:
            self.database.user_set.claim(tx)
            state, epochs = lock_user(tx, user_id), load_global_epochs(tx)
            user, scopes = repository.find_with_scopes(tx, user_id, self.scope_registry.names)
            yield UserTransaction(tx, read_at, epochs, state, user, scopes, state)
            if new_hash:
                repository.replace_password_hash(tx, user_id, new_hash)

    @contextmanager
    def changing_password(self, user: UserAccount, new_hash: str) -> Iterator[UserTransaction]:
        """Store the hash in the same transaction."""
        with self.transaction(user.id) as change:
            if not user.is_same_except_name(change.user):
                raise CredentialsChanged
            repository.store_password(change.tx, user.id, new_hash, self.clock())
            set_password_digests(change.tx, user.id, [digest(new_hash)])
            yield change


@dataclass(frozen=True, slots=True)
class ApplicationUsers:
    """The users of an application."""

    users: Users
    database: Database
    clock: Clock
    scope_registry: ScopeRegistry
    machine_names: Collection[str] = ()  # of the callers who are no users
    reuses_ids: bool = True

    @property
    def _checked(self) -> CheckedUsers:
        return CheckedUsers(self.users)

    @property
    def read_only(self) -> bool:
        """Whether password hashes are never replaced."""
        return self.users.read_only

    @property
    def can_join(self) -> bool:
        """Whether users can be read in a transaction of the application.

        Other methods may use the session that is committing, which would end its commit.
        """
        return isinstance(self.users, FindsInTransaction)

    def find_by_name(self, username: str) -> UserAccount | None:
        """Return the user who signs in with this name; None for one whose id no token can have."""
        user = self._checked.find_by_name(username)
        if user is not None and not is_user_id(user.id):
            log.error(
                "user_id_unusable",
                hint=f"an id is 1 to {MAX_USER_ID_LENGTH} printable characters",
            )
            return None
        return self._unless_machine(user)

    def find_by_id(self, user_id: str, connection: Connection | None = None) -> UserAccount | None:
        """Return the user with exactly this id: databases may compare without regard to case."""
        if not is_user_id(user_id):
            return None
        user = self._checked.find_by_id(user_id, connection)
        return self._unless_machine(user) if user is not None and user.id == user_id else None

    def is_hidden(self, user_id: str, connection: Connection | None = None) -> bool:
        """Return whether the class of the application knows that a user who is not found exists."""
        return is_user_id(user_id) and self._checked.is_hidden(user_id, connection)

    def find_with_scopes(self, user_id: str) -> tuple[UserAccount | None, frozenset[str]]:
        """Return the user with exactly this id and their scopes that the application knows."""
        user = self.find_by_id(user_id)
        return user, self._scopes(user_id) if user else frozenset()

    def attempt_name(self, username: str) -> str:
        """Return one form for all spellings of a name."""
        return fold_username(username)

    def password_hashes(self) -> Iterable[str]:
        """Return the hashes of some users, if the application shows them."""
        return self._checked.sample_password_hashes()

    @contextmanager
    def transaction(
        self, user_id: str, *, new_hash: str | None = None
    ) -> Iterator[UserTransaction]:
        """Read the user, then open a transaction with the lock; replace the hash after it."""
        read_at = self.clock()
        with self.database.reading() as connection:
            epochs, state = load_global_epochs(connection), read_user_state(connection, user_id)
        user, scopes = self.find_with_scopes(user_id)
        is_missing = user is None and not self.is_hidden(user_id)
        with self.database.transaction() as tx:
            self.database.user_set.claim(tx)
            locked_state = lock_user(tx, user_id)
            yield UserTransaction(
                tx, read_at, epochs, state, user, scopes, locked_state, is_missing
            )
        if new_hash and user and user.password_hash:
            self._replace_hash(user.id, user.password_hash, new_hash)

    @contextmanager
    def changing_password(self, user: UserAccount, new_hash: str) -> Iterator[UserTransaction]:
        """Store the hash first.

        If the process dies before the transaction, the sessions of the old password end at their
        next refresh, because none of them knows the new hash.
        """
        old_hash = user.password_hash
        if not old_hash or not self._checked.replace_password_hash(user.id, old_hash, new_hash):
            raise CredentialsChanged
        with self.transaction(user.id) as change:
            set_password_digests(change.tx, user.id, [digest(new_hash)])
            yield change

    def _unless_machine(self, user: UserAccount | None) -> UserAccount | None:
        """Return a user, disabled if the id could be that of a machine: `bank`, or `bank:1`.

        Such a user is not missing: the name of a credential can be changed, and they come back.
        """
        name = "" if user is None else user.id.partition(":")[0]
        if user is None or name not in self.machine_names:
            return user
        hint = f"the ids {name} and {name}:... are those of callers by another credential"
        log.error("user_id_of_a_machine", user_id=user.id, hint=hint)
        return replace(user, enabled=False)

    def _scopes(self, user_id: str) -> frozenset[str]:
        """Return the user's scopes that the application knows; the log names the others once."""
        names, known = self._checked.scope_names(user_id), self.scope_registry.names
        for unknown in names - known:
            _warn_of_unknown_scope(unknown)
        return names & known

    def _replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Replace a hash; the user is signed in already, and the next sign-in tries again."""
        try:
            self._checked.renew_password_hash(user_id, old, new)
        except Unavailable as error:
            cause = error.cause or summarize_error(error.__cause__ or error)
            log.warning("password_hash_not_replaced", user_id=user_id, cause=cause)


@lru_cache(MAX_WARNINGS)
def _warn_of_unknown_scope(name: str) -> None:
    """Log this once in a process: otherwise each sign-in would."""
    hint = "a user has a scope that no rule names; it is in no token"
    log.warning("unknown_scope", scope=name[:MAX_SHOWN_SCOPE_LENGTH], hint=hint)
