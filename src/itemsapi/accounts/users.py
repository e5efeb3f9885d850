"""`Users`: where the issuer finds the users, and what it needs to know of one.

The layer has user tables of its own. An application that has users already passes any object with
the methods of `Users` to `AuthLayer(app, users=...)`; `SqlUsers` makes one from a mapped class.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

from sqlalchemy import Connection

from itemsapi.callbacks import require_one_argument

UNNAMED = "an object without a name"
_FIELDS = (
    ("id", str, "pass a string, an integer or a UUID"),
    ("username", str, "pass a string"),
    ("password_hash", (str, type(None)), "pass a string, or None without a password"),
    ("password_expires_at", (datetime, type(None)), "pass a datetime in UTC, or None"),
    ("enabled", bool, "pass True or False, such as `user.status == 'active'`"),
)


@dataclass(frozen=True, slots=True)
class UserAccount:
    """What the issuer needs to know of a user.

    `id` is the identity as text, at most 128 printable characters: it is never given to another
    user (S-122). An integer or a UUID becomes its text. `password_hash` is None if the user has no
    password, and so cannot sign in with one. `password_expires_at` is set for a temporary password,
    which has to be changed.
    """

    id: str
    username: str
    password_hash: str | None = field(repr=False)
    enabled: bool = True
    password_expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Raise `TypeError` for a value of another type: `enabled="disabled"` would be true."""
        given: object = self.id
        if isinstance(given, int | UUID) and not isinstance(given, bool):
            object.__setattr__(self, "id", str(given))
        for name, types, advice in _FIELDS:
            if not isinstance(value := getattr(self, name), types):
                kind = type(value).__name__
                raise TypeError(f"UserAccount: {name} is of the type {kind}; {advice}")
        if self.password_expires_at is not None and self.password_expires_at.tzinfo is None:
            raise TypeError("UserAccount: password_expires_at has no time zone; pass one in UTC")

    @property
    def must_change_password(self) -> bool:
        """Return whether the password is temporary (S-119)."""
        return self.password_expires_at is not None

    def password_expired(self, now: datetime) -> bool:
        """Return whether a temporary password has expired."""
        return self.password_expires_at is not None and self.password_expires_at <= now

    def is_same_except_name(self, other: "UserAccount | None") -> bool:
        """Return whether `other` is this user with the same password, whatever the names."""
        return other is not None and replace(other, username=self.username) == self


class Users(Protocol):
    """The users of an application.

    The methods run in requests of any thread, outside the transactions of the layer. Only
    `users_changed(..., connection=...)` reads a user in one, which is that of the application: by
    `find_in_transaction`, or by `find_by_id` without it. If a method raises an exception or returns
    something else, the response is a 503, and the log says what it was. Raise `DatabaseUnavailable`
    if the users cannot be read now.

    An attribute `name` says whose users these are. A database of the layer is for one set of users:
    it refuses those with another name.
    """

    @property
    def read_only(self) -> bool:
        """Whether password hashes are never replaced; `POST /me/password` is then a 403."""

    def find_by_name(self, username: str) -> UserAccount | None:
        """Return the user who signs in with this name, as the client wrote it."""

    def find_by_id(self, user_id: str) -> UserAccount | None:
        """Return the user with this id; None for a string that cannot be an id, too.

        None is final, unless `is_hidden` says otherwise: the sessions and API keys of the user end.
        For somebody who may come back return an account with `enabled=False`; raise
        `DatabaseUnavailable` if you do not know.
        """

    def scopes(self, user_id: str) -> Iterable[object]:
        """Return the scopes of a user: names or `Scope` objects, or a string with spaces between.

        Those that the application does not know are left out, and the log says so once. Anything
        else, such as None, is an error.
        """

    def replace_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Store the hash `new` if the stored one is still `old`. Return whether it was."""


@runtime_checkable
class FindsInTransaction(Protocol):
    """Users that can be read in an open transaction of the application."""

    def find_in_transaction(self, user_id: str, connection: Connection) -> UserAccount | None:
        """Return the user with this id as that transaction has them, committed or not."""


@runtime_checkable
class HidesUsers(Protocol):
    """Users of whom some are hidden at times, as by a filter for one tenant."""

    def is_hidden(self, user_id: str, connection: Connection | None = None) -> bool:
        """Return whether a user whom the other methods do not find exists, and may come back.

        With `connection`, as that open transaction of the application has them.
        """


@runtime_checkable
class SamplesHashes(Protocol):
    """Users that can show what kinds of password hashes they have (S-113)."""

    def sample_password_hashes(self) -> Iterable[str]:
        """Return the hashes of some users, among them every kind in use if possible."""


@runtime_checkable
class RenewsHashes(Protocol):
    """Users whose hashes can be replaced without waiting."""

    def renew_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Replace a hash as `replace_password_hash` does, at a sign-in, which must not wait for it.

        Raise `DatabaseUnavailable` if it cannot be done at once: the next sign-in tries again.
        """


def users_name(users: Users) -> str:
    """Return the name by which a database of the layer knows whose users it is for."""
    return str(getattr(users, "name", UNNAMED))


def require_users(users: object) -> None:
    """Raise `TypeError` unless an object has the methods of `Users`."""
    for name in ("find_by_name", "find_by_id", "scopes", "replace_password_hash"):
        if isinstance(users, type) or not callable(getattr(users, name, None)):
            raise TypeError(
                f"users={users!r} has no method {name}: give an object such as SqlUsers(...),"
                " or with the methods of itemsapi.Users"
            )
    for name in ("find_by_name", "find_by_id", "scopes"):
        require_one_argument(getattr(users, name), "users=:", "a name or an id, see itemsapi.Users")
    if not isinstance(getattr(users, "read_only", None), bool):
        raise TypeError(f"users={users!r} has no attribute read_only: write True or False")
    if not isinstance(name := getattr(users, "name", UNNAMED), str) or not name.isprintable():
        raise TypeError(f"users={users!r} has the name {name!r}: write a text, or leave it out")


def fold_username(username: str) -> str:
    """Return one form for all spellings that some database may treat as the same name.

    Collations ignore case, accents, width or spaces at the end. Limits count attempts by this form:
    otherwise each spelling would give a client further attempts at the same password.
    """
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", username).casefold())
    return "".join(char for char in letters if not unicodedata.combining(char)).strip()
