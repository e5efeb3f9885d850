"""Connections to PostgreSQL and poolers, with a driver that a test controls (R-32 to R-34)."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from psycopg.pq import Format
from psycopg.rows import dict_row, tuple_row
from sqlalchemy import create_engine, exc, make_url

from itemsapi.db import postgres_connections
from itemsapi.db.postgres import TimeoutConnection
from itemsapi.db.postgres_connections import BinaryCursor, UnsupportedServer, connection_parameters

SERVER_PID, POOLER_PID = 41, 4_000_000
URL = "postgresql+psycopg://ada@db.example/itemsapi"


class FakeConnection(TimeoutConnection):
    """A connection that is never opened; it reports what a server or pooler would."""

    def __init__(self, status: Mapping[str, str | None], *, announced_pid: int) -> None:
        """Take the parameters that it reports, and the backend id that it announces."""
        super().__init__(cast("Any", SimpleNamespace(status=None, _encoding="utf-8")))
        self.status = {"server_encoding": "UTF8", "DateStyle": "ISO, MDY", **status}
        self.announced_pid = announced_pid
        self.modes: list[bool] = []
        self.is_closed = False
        self.fails = False

    def __del__(self, *_: object) -> None:
        """Warn of nothing: there is nothing to close."""

    @property
    def info(self) -> Any:
        """What the server reported at the start."""
        return SimpleNamespace(parameter_status=self.status.get, backend_pid=self.announced_pid)

    @property
    def autocommit(self) -> bool:
        """Return whether each statement is a transaction."""
        return self.modes[-1]

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self.modes.append(value)

    def execute(self, *_: Any, **__: Any) -> Any:
        """Return the backend id of the server itself."""
        if self.fails:
            raise psycopg.OperationalError("the server closed the connection")
        assert self.autocommit, "a transaction would be left open"
        return SimpleNamespace(fetchone=lambda: (SERVER_PID,))

    def close(self) -> None:
        """Remember it."""
        self.is_closed = True


class Server:
    """A server, or a pooler before it, to which connections are opened."""

    def __init__(self) -> None:
        """Start as a server without a pooler."""
        self.status: dict[str, str | None] = {}
        self.announced_pid = SERVER_PID
        self.error: str | None = None
        self.fails = False
        self.opened: list[FakeConnection] = []
        self.options: list[str] = []

    def connect(self, **params: Any) -> FakeConnection:
        """Open a connection; a pooler may reject the options."""
        self.options.append(params["options"])
        if self.error is not None and params["options"]:
            raise psycopg.OperationalError(self.error)
        self.opened.append(FakeConnection(self.status, announced_pid=self.announced_pid))
        self.opened[-1].fails = self.fails
        return self.opened[-1]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server in place of the network."""
    server = Server()
    monkeypatch.setattr(TimeoutConnection, "connect", server.connect)
    return server


def connector(pooler: str = "auto", options: str = "") -> Callable[[], FakeConnection]:
    """Return a function that opens connections as the engine does."""
    opener = postgres_connections._Connector(cast("Any", pooler), options)  # noqa: SLF001 - without an engine
    return lambda: cast("FakeConnection", opener.connect({"options": "-c x=1"}))


def test_a_direct_connection_keeps_prepared_statements(server: Server) -> None:
    """And its options; results are in the text format, whose DateStyle is known."""
    opened = connector()()
    assert (opened.pooled, opened.prepare_threshold, opened.cursor_factory) == (
        False,
        5,
        psycopg.Cursor,
    )
    assert (server.options, opened.modes) == (["-c x=1"], [True, False])


def test_a_pooler_is_detected_when_it_announces_an_id_of_its_own(server: Server) -> None:
    """R-33: no prepared statements, and results that depend on no setting of the session."""
    server.announced_pid = POOLER_PID
    opened = connector()()
    assert (opened.pooled, opened.prepare_threshold, opened.cursor_factory) == (
        True,
        None,
        BinaryCursor,
    )


@pytest.mark.parametrize("pooler", ["off", "on"])
def test_a_pooler_is_not_detected_when_the_setting_says_what_there_is(
    server: Server, pooler: str
) -> None:
    """R-33: no query is sent for it."""
    server.announced_pid = POOLER_PID
    opened = connector(pooler)()
    assert (opened.pooled, opened.modes) == (pooler == "on", [])


def test_a_pooler_that_rejects_options_gets_none(server: Server) -> None:
    """R-33: it is remembered, so the next connection costs one attempt only."""
    server.error = "FATAL: unsupported startup parameter: options"
    connect = connector()
    assert [connect().pooled, connect().pooled] == [True, True]
    assert server.options == ["-c x=1", "", ""]


@pytest.mark.parametrize(
    ("pooler", "error"),
    [("off", "unsupported startup parameter: options"), ("auto", "connection refused")],
)
def test_another_error_of_a_connection_is_raised(server: Server, pooler: str, error: str) -> None:
    """R-33: only a pooler that may be there is tried again without options."""
    server.error = error
    with pytest.raises(psycopg.OperationalError, match=error):
        connector(pooler)()
    assert len(server.options) == 1


def test_a_connection_is_closed_when_the_detection_fails(server: Server) -> None:
    """It is not in the pool yet, so nobody else would close it."""
    server.fails = True
    with pytest.raises(psycopg.OperationalError, match="the server closed"):
        connector()()
    assert server.opened[0].is_closed


def test_options_are_refused_behind_a_pooler(server: Server) -> None:
    """R-33: it would not keep them; the message names them."""
    server.announced_pid = POOLER_PID
    with pytest.raises(UnsupportedServer, match="-csearch_path=x"):
        connector(options="-csearch_path=x")()
    assert server.opened[0].is_closed


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_with_another_encoding_is_refused(server: Server, encoding: str) -> None:
    """R-34: it could not store every name."""
    server.status["server_encoding"] = encoding
    with pytest.raises(UnsupportedServer, match=encoding):
        connector()()
    assert server.opened[0].is_closed


def test_a_pooler_need_not_report_an_encoding(server: Server) -> None:
    """R-33: some report no parameter of the server."""
    server.status |= {"server_encoding": None, "DateStyle": None}
    server.announced_pid = POOLER_PID
    assert not connector()().is_closed


@pytest.mark.parametrize("style", ["German, DMY", None])
def test_results_are_binary_when_the_date_style_is_another(
    server: Server, style: str | None
) -> None:
    """R-34: the environment of the process may set one, and it wins over our options."""
    server.status["DateStyle"] = style
    assert connector()().cursor_factory is BinaryCursor


def test_the_engine_opens_its_connections_this_way(server: Server) -> None:
    """Not with the function of the driver, which knows no poolers and no timeouts."""
    engine = create_engine(URL)
    postgres_connections.configure_connections(engine, engine.url, "on")
    opened = [open_(None, None, None, {}) for open_ in engine.dialect.dispatch.do_connect]
    assert opened == server.opened


@pytest.mark.parametrize("row_factory", [None, dict_row])
def test_a_binary_cursor_keeps_the_row_factory(row_factory: Any) -> None:
    """Its own one, or that of the connection."""
    connection = FakeConnection({}, announced_pid=SERVER_PID)
    cursor = BinaryCursor(connection, row_factory=row_factory)
    assert (cursor.format, cursor.row_factory) == (Format.BINARY, row_factory or tuple_row)


def test_a_connection_has_limits_that_the_url_may_override() -> None:
    """R-04: but not the settings that results depend on."""
    assert connection_parameters(make_url(f"{URL}?application_name=shop")) == {
        "connect_timeout": 2,
        "tcp_user_timeout": 2000,
        "client_encoding": "UTF8",
        "options": (
            "-c statement_timeout=2000 -c lock_timeout=2000"
            " -c idle_in_transaction_session_timeout=10000  -c timezone=UTC -c datestyle=ISO"
            r" -c default_transaction_isolation=read\ committed"
        ),
    }


@pytest.mark.parametrize(
    ("query", "environment", "expected"),
    [
        ("", None, ""),
        ("", "-cjit=off", "-cjit=off"),
        ("?options=-csearch_path%3Dx", "-cjit=off", "-csearch_path=x"),
        ("?options=-ca%3D1&options=-cb%3D2", None, "-ca=1 -cb=2"),
    ],
)
def test_options_come_from_the_url_or_else_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, query: str, environment: str | None, expected: str
) -> None:
    """R-34: between our limits, which they may change, and what our results need."""
    monkeypatch.delenv("PGOPTIONS", raising=False)
    if environment is not None:
        monkeypatch.setenv("PGOPTIONS", environment)
    options = connection_parameters(make_url(URL + query))["options"]
    assert f"=10000 {expected} -c timezone" in options


def statements_of(connection: object) -> list[str]:
    """Begin a transaction with changes on a connection of the driver; return what is sent."""
    sent: list[str] = []
    transaction: Any = SimpleNamespace(
        connection=SimpleNamespace(driver_connection=connection), exec_driver_sql=sent.append
    )
    postgres_connections.set_timeouts(transaction)
    return sent


def test_a_pooled_transaction_with_changes_sets_its_own_time_limits() -> None:
    """R-33: those of the session may be anything."""
    connection = FakeConnection({}, announced_pid=POOLER_PID)
    connection.pooled = True
    (sent,) = statements_of(connection)
    assert "set_config('statement_timeout', '2000', true)" in sent
    assert "set_config('idle_in_transaction_session_timeout', '10000', true)" in sent


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_direct_transaction_sets_no_time_limits(is_ours: bool) -> None:
    """R-33: a direct connection has them from its start; SQLite's has none."""
    connection: Any = object()
    if is_ours:
        connection = FakeConnection({}, announced_pid=SERVER_PID)
        connection.pooled = False
    assert statements_of(connection) == []


def is_replaced(status: Mapping[str, str], *, age: float = 1.0, pooled: bool = False) -> bool:
    """Return whether the pool replaces a connection that was first used `age` seconds ago."""
    connection = FakeConnection(status, announced_pid=SERVER_PID)
    connection.pooled = pooled
    record = SimpleNamespace(info={})
    reading = [100.0]
    engine = create_engine(URL)
    postgres_connections.configure_connections(engine, engine.url, "auto")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.monotonic", lambda: reading[0])
        engine.pool.dispatch.checkout(connection, record, None)
        reading[0] += age
        try:
            engine.pool.dispatch.checkout(connection, record, None)
        except exc.DisconnectionError:
            return True
    return False


@pytest.mark.parametrize("name", ["default_transaction_read_only", "in_hot_standby"])
def test_a_read_only_connection_is_replaced_after_a_second(name: str) -> None:
    """R-32: a standby may have been promoted; it does not get connections without pause."""
    assert is_replaced({name: "on"})
    assert not is_replaced({name: "on"}, age=0.9)


def test_a_connection_that_can_write_is_kept() -> None:
    """However old it is."""
    status = {"default_transaction_read_only": "off", "in_hot_standby": "off"}
    assert not is_replaced(status, age=1000)


def test_a_read_only_connection_of_a_pooler_is_kept() -> None:
    """R-32: what a pooler reports dates from its own start."""
    assert not is_replaced({"in_hot_standby": "on"}, age=1000, pooled=True)
