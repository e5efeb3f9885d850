"""User set: whose users a database of the layer is for.

The layer knows users by their ids. With two sets of users, user 1 of one table would have the API
keys, sessions and tokens of user 1 of the other. So the first sign-in stores the name of the set,
and an application with another one is refused: its requests are a 503, its commands end.
"""

from sqlalchemy import Connection, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db.types import Model
from itemsapi.problems import DatabaseUnavailable

LAYER_USERS = "itemsapi_user"  # the name of the layer's own set, which is that of the table


class UsersOfOthers(DatabaseUnavailable):
    """The database is for another set of users."""


class StoredUserSet(Model):
    """The only row: the name of the users that the database is for."""

    __tablename__ = "itemsapi_user_set"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String)


_READ = select(StoredUserSet.core().c.name)
_CLAIM = text(
    "INSERT INTO itemsapi_user_set (id, name) VALUES (1, :name) ON CONFLICT (id) DO NOTHING"
)


class UserSet:
    """The users of an application, by a name that stays when its code is moved."""

    def __init__(self, name: str | None) -> None:
        """Take the name; None for no check at all. `is_confirmed`: nothing has to be read."""
        self._name, self.is_confirmed = name, name is None

    def require(self, connection: Connection) -> None:
        """Raise `UsersOfOthers` if the database is for other users.

        Once it is known to be for these, nothing is read any more.
        """
        if self.is_confirmed:
            return
        stored = connection.scalar(_READ)
        if stored is not None:
            self.require_own(stored)
            self.is_confirmed = True

    def claim(self, tx: Session) -> None:
        """Store whose users these are, unless it is known. Raise as `require` does."""
        if self.is_confirmed:
            return
        tx.execute(_CLAIM, {"name": self._name})
        self.require_own(tx.scalar(_READ))  # not confirmed yet: the transaction may be rolled back

    def require_own(self, stored: str | None) -> None:
        """Raise `UsersOfOthers` if `stored` is the name of other users."""
        if self._name in {None, stored}:
            return
        fault = f"database: it is for the users of `{stored}`, and these are of `{self._name}`"
        if self._name == LAYER_USERS:
            advice = "name the application with --app, or give this one a database"
        else:
            advice = f"give them a database, or, if they are the same, write name={stored!r}"
        raise UsersOfOthers(cause=f"{fault}; {advice}")
