"""Connections to PostgreSQL: the parameters they are opened with, and connection poolers.

The startup parameter `options` sets time limits of statements and the format of results, whatever
the defaults of role, database and server are (R-34). Options in the database URL stay; only those
that our results depend on come after them, and win.

A pooler between this service and the server gives each transaction any free connection, so a
session must keep no state (R-33): no `options`, which the pooler rejects, and no prepared
statements, which could run on another connection. With a pooler, the limits are set in each
transaction that writes, and look-ups are limited by the client only. Results do not depend on
session settings either: they are in the binary format, which does not depend on DateStyle, and a
transaction that writes sets its isolation level. A look-up is a single statement, which sees one
snapshot of the database at any isolation level.
"""

import time
from typing import Any, Literal

import psycopg
from psycopg.pq import Conninfo, Format
from psycopg.rows import RowFactory
from sqlalchemy import URL, Connection, Engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry

from itemsapi.db.postgres import CONNECT_TIMEOUT_SECONDS, STATEMENT_TIMEOUT_MS, TimeoutConnection

Pooler = Literal["auto", "on", "off"]

IDLE_TIMEOUT_MS = 10_000  # how long a transaction may be idle between two statements
SERVER_TIMEOUTS = {
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": STATEMENT_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MS,
}
REQUIRED_OPTIONS = (
    r"-c timezone=UTC -c datestyle=ISO -c default_transaction_isolation=read\ committed"
)
ISOLATION_LEVEL = "READ COMMITTED"  # the rule of rotation is proved for this level
DEFAULT_PARAMETERS = {  # the database URL may override them
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "tcp_user_timeout": STATEMENT_TIMEOUT_MS,
    "application_name": "itemsapi",
}
POOLER_ERROR = "unsupported startup parameter"  # poolers' message; libpq reports no SQLSTATE here
READ_ONLY_KEPT_SECONDS = 1.0  # how long a read-only connection is kept before it is replaced

_SET_TIMEOUTS = "SELECT " + ", ".join(
    f"set_config('{name}', '{limit}', true)" for name, limit in SERVER_TIMEOUTS.items()
)


class UnsupportedServer(psycopg.OperationalError):
    """The database or pooler cannot be used; the message says what to do."""


class BinaryCursor(psycopg.Cursor[Any]):
    """A cursor whose results do not depend on DateStyle, TimeZone and the like."""

    def __init__(
        self, connection: psycopg.Connection[Any], *, row_factory: RowFactory[Any] | None = None
    ) -> None:
        """Request results in the binary format."""
        super().__init__(connection, row_factory=row_factory or connection.row_factory)
        self.format = Format.BINARY


def connection_parameters(url: URL) -> dict[str, Any]:
    """Return the libpq parameters that complete or override those of the database URL."""
    timeouts = " ".join(f"-c {name}={limit}" for name, limit in SERVER_TIMEOUTS.items())
    return {
        **{name: value for name, value in DEFAULT_PARAMETERS.items() if name not in url.query},
        "client_encoding": "UTF8",
        "options": f"{timeouts} {_options(url)} {REQUIRED_OPTIONS}",
    }


def configure_connections(engine: Engine, url: URL, pooler: Pooler) -> None:
    """Open the connections of an engine as above, and replace read-only ones."""
    connector = _Connector(pooler, _options(url))

    @event.listens_for(engine, "do_connect")
    def connect(
        _dialect: object, _record: object, _args: object, params: dict[str, Any]
    ) -> TimeoutConnection:
        """Open a connection in place of SQLAlchemy."""
        return connector.connect(params)

    event.listen(engine, "checkout", _replace_read_only)


class _Connector:
    """Opens connections: directly at first, and for a pooler once one was detected."""

    def __init__(self, pooler: Pooler, options: str) -> None:
        """Take the setting about poolers, and the options of the database URL."""
        self._detect_pooler, self._pooled = pooler == "auto", pooler == "on"
        self._options = options

    def connect(self, params: dict[str, Any]) -> TimeoutConnection:
        """Open a connection. Raise `psycopg.OperationalError`, also for an unsupported server."""
        connection = self._open(params)
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in {"UTF8", None}:  # a pooler may not report it
            connection.close()
            raise UnsupportedServer(
                f"its encoding is {encoding}, and itemsapi needs UTF8; make one with"
                " CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8'"
            )
        if connection.pooled or "ISO" not in str(connection.info.parameter_status("DateStyle")):
            connection.cursor_factory = BinaryCursor  # PGDATESTYLE overrides our options
        return connection

    def _open(self, params: dict[str, Any]) -> TimeoutConnection:
        if not self._pooled:
            try:
                return self._check_for_pooler(TimeoutConnection.connect(**params))
            except psycopg.OperationalError as error:
                if not self._detect_pooler or POOLER_ERROR not in str(error):
                    raise
                self._pooled = True
        return self._without_session_state(TimeoutConnection.connect(**(params | {"options": ""})))

    def _check_for_pooler(self, connection: TimeoutConnection) -> TimeoutConnection:
        """Detect a pooler: it announces a backend id that is not the one of the server."""
        if not self._detect_pooler:
            return connection
        try:
            connection.autocommit = True
            (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
            connection.autocommit = False
        except psycopg.Error:
            connection.close()  # it is not in the pool yet
            raise
        is_direct = pid == connection.info.backend_pid
        return connection if is_direct else self._without_session_state(connection)

    def _without_session_state(self, connection: TimeoutConnection) -> TimeoutConnection:
        """Disable prepared statements; reject options, which a pooler does not keep."""
        if self._options:
            connection.close()
            raise UnsupportedServer(
                f"a pooler keeps no options, and there are {self._options!r}, in"
                " ITEMSAPI_DATABASE_URL or PGOPTIONS; set them with ALTER ROLE ... SET ..."
            )
        connection.pooled, connection.prepare_threshold = True, None
        return connection


def _options(url: URL) -> str:
    """Return the options of the database URL, or else those of the environment (PGOPTIONS)."""
    options = url.query.get("options")
    if options is None:
        defaults = {default.keyword: default.val for default in Conninfo.get_defaults()}
        return (defaults.get(b"options") or b"").decode()
    return options if isinstance(options, str) else " ".join(options)


def set_timeouts(connection: Connection) -> None:
    """Set the timeouts of a transaction, if none could be set for the session."""
    driver_connection = connection.connection.driver_connection
    if isinstance(driver_connection, TimeoutConnection) and driver_connection.pooled:
        connection.exec_driver_sql(_SET_TIMEOUTS)


def _replace_read_only(
    connection: TimeoutConnection, record: ConnectionPoolEntry, _fairy: object
) -> None:
    """Have the pool open another connection in place of a read-only one (R-32).

    The server reports it without a query. The new connection may be read-only too; each is kept for
    a short time, so that a standby does not get connections without pause.
    """
    opened_at = record.info.setdefault("itemsapi_since", time.monotonic())
    if connection.pooled or time.monotonic() - opened_at < READ_ONLY_KEPT_SECONDS:
        return  # what a pooler reports dates from its own start
    names = ("default_transaction_read_only", "in_hot_standby")
    if "on" in map(connection.info.parameter_status, names):
        raise exc.DisconnectionError("the server accepts no changes on this connection")
