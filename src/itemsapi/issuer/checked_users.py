"""Checked users: what the methods of an application's users raise or return wrongly is a 503.

A fault of that code must not look like one of the layer, and its log line says what to change. A
problem, such as `DatabaseUnavailable`, is raised as it is.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from itemsapi.accounts.users import (
    FindsInTransaction,
    HidesUsers,
    RenewsHashes,
    SamplesHashes,
    UserAccount,
    Users,
)
from itemsapi.problems import Problem, UsersUnavailable
from itemsapi.tokens.scopes import scope_names_of_user

Result = TypeVar("Result")

_IF_REPLACED = "True if the hash was replaced, else False"


@dataclass(frozen=True, slots=True)
class CheckedUsers:
    """The methods of `Users`; they raise `UsersUnavailable` for a fault of the application."""

    users: Users

    def find_by_name(self, username: str) -> UserAccount | None:
        """Return the user who signs in with this name."""
        return _account("find_by_name", _call(lambda: self.users.find_by_name(username)))

    def find_by_id(self, user_id: str, connection: Connection | None) -> UserAccount | None:
        """Return the user with this id, as a transaction of the application has them if given."""
        users = self.users
        if connection is None or not isinstance(users, FindsInTransaction):
            return _account("find_by_id", _call(lambda: users.find_by_id(user_id)))
        found = _call(lambda: users.find_in_transaction(user_id, connection))
        return _account("find_in_transaction", found)

    def is_hidden(self, user_id: str, connection: Connection | None) -> bool:
        """Return whether a user who is not found exists; False if the class does not tell."""
        users = self.users
        if not isinstance(users, HidesUsers):
            return False
        hidden: object = _call(lambda: users.is_hidden(user_id, connection))
        return _boolean("is_hidden", hidden, "True if this user exists, else False")

    def scope_names(self, user_id: str) -> frozenset[str]:
        """Return the names of the user's scopes."""
        return _call(lambda: scope_names_of_user(self.users.scopes(user_id)))

    def replace_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Store the hash `new` if the stored one is still `old`. Return whether it was."""
        replaced: object = _call(lambda: self.users.replace_password_hash(user_id, old, new))
        return _boolean("replace_password_hash", replaced, _IF_REPLACED)

    def renew_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Replace a hash, without waiting if the application's class knows how to."""
        users = self.users
        if not isinstance(users, RenewsHashes):
            return self.replace_password_hash(user_id, old, new)
        renewed: object = _call(lambda: users.renew_password_hash(user_id, old, new))
        return _boolean("renew_password_hash", renewed, _IF_REPLACED)

    def sample_password_hashes(self) -> Iterable[str]:
        """Return the hashes of some users, if the application shows them."""
        users = self.users
        if not isinstance(users, SamplesHashes):
            return ()
        return _call(lambda: tuple(users.sample_password_hashes()))


def _call(method: Callable[[], Result]) -> Result:
    try:
        return method()
    except Problem:
        raise
    except Exception as error:
        raise UsersUnavailable from error


def _account(name: str, found: object) -> UserAccount | None:
    if found is None or isinstance(found, UserAccount):
        return found
    raise _wrong_result(name, found, "a UserAccount, or None")


def _boolean(name: str, returned: object, advice: str) -> bool:
    if isinstance(returned, bool):
        return returned
    raise _wrong_result(name, returned, advice)


def _wrong_result(name: str, result: object, advice: str) -> UsersUnavailable:
    kind = type(result).__name__
    return UsersUnavailable(cause=f"users: {name} returned a value of type {kind}; return {advice}")
