"""The identity of our database: whether a connection of the application is to the same one.

Names do not tell: a shard or a copy for tests has the same ones on another server, and one server
has several names.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import Connection, Engine

# When the server started, the database in it, and the table that our name means (search_path). All
# of it is text that does not depend on settings or the driver.
_ASK = """
SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    to_regclass('itemsapi_revocation')::oid)
"""


class DatabaseIdentity:
    """Compares connections of the application with our database."""

    def __init__(
        self, engine: Engine, reading: Callable[[], AbstractContextManager[Connection]]
    ) -> None:
        """Use our engine, and `reading` for a connection to ask on."""
        self._engine, self._reading = engine, reading
        self._known = ""  # our identity when it was asked last: a restart of the server changes it

    def require(self, connection: Connection) -> None:
        """Raise `ValueError` unless the connection is to our database, and finds our tables there.

        Raise `DatabaseUnavailable` if ours cannot be asked.
        """
        if connection.dialect.name != self._engine.dialect.name or not self._is_ours(connection):
            raise ValueError(
                "connection= needs a connection to ITEMSAPI_DATABASE_URL, and this one is to"
                " another database, server or schema; call after your commit, without connection="
            )

    def _is_ours(self, connection: Connection) -> bool:
        if connection.dialect.name == "sqlite":
            file = connection.exec_driver_sql("SELECT file FROM pragma_database_list").scalar()
            ours = Path(self._engine.url.database or "")
            return bool(file) and Path(str(file)).resolve() == ours.resolve()
        theirs = _ask(connection)
        if theirs != self._known:
            with self._reading() as own:
                self._known = _ask(own)
        return theirs == self._known


def _ask(connection: Connection) -> str:
    return str(connection.exec_driver_sql(_ASK).scalar())
