"""How connections to PostgreSQL are opened: what we need told, and what a pooler takes of it.

A server is told at the start of a connection, in `options`, what its statements may cost and how we
read its answers, whatever the defaults of role, database and server are (R-34). What the address
itself says stays; only what our answers depend on stands after it.

A pooler between us and the server hands each transaction to whichever connection is free, so
nothing may live in a session (R-33): no `options`, which it refuses; no prepared statements, or
somebody else's would run. There the limits are set in each transaction that writes, and look-ups
have the client's alone. Nor does what is read depend on a session's settings: answers come in
binary, which knows no DateStyle, and a transaction that writes says its isolation level. A look-up
is one statement, which sees one moment of the database at any level.
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

IDLE_TIMEOUT_MS = 10_000  # milliseconds a transaction may lie open between two statements
SERVER_TIMEOUTS = {
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": STATEMENT_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MS,
}
REQUIRED_OPTIONS = (
    r"-c timezone=UTC -c datestyle=ISO -c default_transaction_isolation=read\ committed"
)
ISOLATION_LEVEL = (
    "READ COMMITTED"  # what the rules of rotation are proved for; said in every transaction
)
DEFAULT_PARAMETERS = {  # what an address may say otherwise
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "tcp_user_timeout": STATEMENT_TIMEOUT_MS,
    "application_name": "itemsapi",
}
POOLER_ERROR = "unsupported startup parameter"  # a pooler's words; libpq hands on no SQLSTATE here
READ_ONLY_KEPT_SECONDS = (
    1.0  # seconds a connection that may only read is kept before another one is tried
)

_SET_LIMITS = "SELECT " + ", ".join(
    f"set_config('{name}', '{limit}', true)" for name, limit in SERVER_TIMEOUTS.items()
)


class UnsupportedServer(psycopg.OperationalError):
    """The database is none that we can keep text in; the message says what to do."""


class BinaryCursor(psycopg.Cursor[Any]):
    """A cursor whose answers do not depend on the session's DateStyle, TimeZone or the like."""

    def __init__(
        self, connection: psycopg.Connection[Any], *, row_factory: RowFactory[Any] | None = None
    ) -> None:
        """Ask for binary answers."""
        super().__init__(connection, row_factory=row_factory or connection.row_factory)
        self.format = Format.BINARY


def connection_parameters(address: URL) -> dict[str, Any]:
    """Return what libpq is told beside, or in the place of, what the address says."""
    limits = " ".join(f"-c {name}={limit}" for name, limit in SERVER_TIMEOUTS.items())
    return {
        **{name: value for name, value in DEFAULT_PARAMETERS.items() if name not in address.query},
        "client_encoding": "UTF8",
        "options": f"{limits} {_options(address)} {REQUIRED_OPTIONS}",
    }


def configure_connections(engine: Engine, address: URL, pooler: Pooler) -> None:
    """Let an engine open its connections so, and leave a server that takes no changes."""
    entrance = _Entrance(pooler, _options(address))

    @event.listens_for(engine, "do_connect")
    def connect(
        _dialect: object, _record: object, _args: object, told: dict[str, Any]
    ) -> TimeoutConnection:
        return entrance.open(told)

    event.listen(engine, "begin", _limit)
    event.listen(engine, "checkout", _leave_reader)


class _Entrance:
    """The way in: directly at first, and as through a pooler once there is one."""

    def __init__(self, pooler: Pooler, options: str) -> None:
        """Take what the operator says about a pooler, and the options of the address."""
        self._watch, self._pooled, self._options = pooler == "auto", pooler == "on", options

    def open(self, told: dict[str, Any]) -> TimeoutConnection:
        """Open a connection. Raises `psycopg.OperationalError`, for an unfit database as well."""
        connection = self._opened(told)
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in {"UTF8", None}:  # a pooler may not hand it on
            connection.close()
            raise UnsupportedServer(
                f"its encoding is {encoding}, and itemsapi needs UTF8; make one with"
                " CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8'"
            )
        if connection.pooled or "ISO" not in str(connection.info.parameter_status("DateStyle")):
            connection.cursor_factory = BinaryCursor  # PGDATESTYLE outdoes our options
        return connection

    def _opened(self, told: dict[str, Any]) -> TimeoutConnection:
        if not self._pooled:
            try:
                return self._judged(TimeoutConnection.connect(**told))
            except psycopg.OperationalError as error:
                if not self._watch or POOLER_ERROR not in str(error):
                    raise
                self._pooled = True
        return self._without_session(TimeoutConnection.connect(**(told | {"options": ""})))

    def _judged(self, connection: TimeoutConnection) -> TimeoutConnection:
        """Find out who answers: a pooler gives itself out as a backend that is none."""
        if not self._watch:
            return connection
        try:
            connection.autocommit = True
            (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
            connection.autocommit = False
        except psycopg.Error:
            connection.close()  # the pool has not got it yet
            raise
        same = pid == connection.info.backend_pid
        return connection if same else self._without_session(connection)

    def _without_session(self, connection: TimeoutConnection) -> TimeoutConnection:
        """Keep nothing in the session; what the address wants kept there cannot be."""
        if self._options:
            connection.close()
            raise UnsupportedServer(
                f"a pooler keeps no options, and there are {self._options!r}, in"
                " ITEMSAPI_DATABASE_URL or PGOPTIONS; set them with ALTER ROLE ... SET ..."
            )
        connection.pooled, connection.prepare_threshold = True, None
        return connection


def _options(address: URL) -> str:
    """Return the options that the address has, or else libpq's environment (PGOPTIONS)."""
    said = address.query.get("options")
    if said is None:
        defaults = {one.keyword: one.val for one in Conninfo.get_defaults()}
        return (defaults.get(b"options") or b"").decode()
    return said if isinstance(said, str) else " ".join(said)


def _limit(connection: Connection) -> None:
    """Set the limits of a transaction that writes, where none could be set for the session."""
    driven = connection.connection.driver_connection
    if isinstance(driven, TimeoutConnection) and driven.pooled and _writes(connection):
        connection.exec_driver_sql(_SET_LIMITS)


def _writes(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("itemsapi_writing"))


def _leave_reader(driven: TimeoutConnection, record: ConnectionPoolEntry, _fairy: object) -> None:
    """Try another connection in the place of one that may only read (R-32).

    The server tells so without being asked. The new one may be no better; it is kept for a moment,
    so that a standby is not asked for connections all the time.
    """
    since = record.info.setdefault("itemsapi_since", time.monotonic())
    if driven.pooled or time.monotonic() - since < READ_ONLY_KEPT_SECONDS:
        return  # a pooler tells what was so when it began
    told = map(driven.info.parameter_status, ("default_transaction_read_only", "in_hot_standby"))
    if "on" in told:
        raise exc.DisconnectionError("the server takes no changes on this connection")
