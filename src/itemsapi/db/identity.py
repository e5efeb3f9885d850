"""The identity of our database: whether a connection of the application is to the same one.

Names do not tell: a shard or a copy for tests has the same ones on another server, and one server
has several names.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, text

# When the server started, the database in it, and the table that a name means (search_path). All
# of it is text that does not depend on settings or the driver.
_ASK = text("""
SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    to_regclass(:table)::oid)
""")
_OUR_TABLE = "itemsapi_revocation"


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
            ours = Path(self._engine.url.database or "")
            return _file(connection) == ours.resolve()
        theirs = _ask(connection, _OUR_TABLE)
        if theirs != self._known:
            with self._reading() as own:
                self._known = _ask(own, _OUR_TABLE)
        return theirs == self._known


def is_same_table(table: object, one: Connection, other: Connection) -> bool:
    """Return whether two connections are to one database, and find the same table there."""
    if one.dialect.name != other.dialect.name:
        return False
    if one.dialect.name == "sqlite":
        return _file(one) is not None and _file(one) == _file(other)
    if one.dialect.name != "postgresql":
        return one.engine.url == other.engine.url
    format_table = one.dialect.identifier_preparer.format_table
    name = format_table(table) if isinstance(table, Table) else None
    return _ask(one, name) == _ask(other, name)


def _file(connection: Connection) -> Path | None:
    """Return the file of an SQLite database; None for one in memory."""
    file = connection.exec_driver_sql("SELECT file FROM pragma_database_list").scalar()
    return Path(str(file)).resolve() if file else None


def _ask(connection: Connection, table: str | None) -> str:
    return str(connection.execute(_ASK, {"table": table}).scalar())
