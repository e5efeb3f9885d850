"""A transaction of the host that the layer joins: both are committed, or neither is."""

import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    NestedTransaction,
    create_engine,
    event,
    exc,
    make_url,
    text,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from itemsapi.audit import ApplicationEvent
from itemsapi.clock import now
from itemsapi.db import run_after_commit
from itemsapi.idempotency import IdempotentRequest, store_key
from itemsapi.problems import DatabaseUnavailable
from support.app_factory import Backend
from support.bundled_postgres import start_postgres
from support.log_records import LogRecords
from support.manual_timer import ManualTimer
from support.postgres_database import execute, url_of

Events = Callable[[], list[str]]


@pytest.fixture
def host(backend: Backend, database_url: str) -> Iterator[Engine]:
    """The engine of the host, with the settings that a project starts with, and its table."""
    del backend
    url = make_url(database_url)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY)")
    yield engine
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE orders")
    engine.dispose()


@pytest.fixture
def events(backend: Backend) -> Events:
    """A function that returns the audit events in the database."""
    return lambda: [row.event for row in backend.services.audit.latest(before=None, limit=9)]


def record(backend: Backend, connection: Connection | Session | scoped_session[Session]) -> None:
    """Record an event in a transaction of the host."""
    with backend.services.database.transaction(connection=connection) as tx:
        backend.services.audit.record(tx, ApplicationEvent("order_placed"))


def place_order(connection: Connection | Session) -> None:
    """Write a row of the host."""
    connection.execute(text("INSERT INTO orders VALUES (1)"))


def count_orders(host: Engine) -> int:
    """Return the number of the host's rows."""
    with host.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM orders")) or 0)


def test_both_are_committed_with_the_connection(
    backend: Backend, host: Engine, events: Events
) -> None:
    """Not before the host commits."""
    with host.connect() as connection:
        place_order(connection)
        record(backend, connection)
        assert events() == []
        connection.commit()
    assert (count_orders(host), events()) == (1, ["order_placed"])


def test_both_are_rolled_back_with_the_connection(
    backend: Backend, host: Engine, events: Events
) -> None:
    """Also if the layer writes first, when Python's driver for SQLite has begun nothing yet."""
    with host.connect() as connection:
        record(backend, connection)
        place_order(connection)
        connection.rollback()
    assert (count_orders(host), events()) == (0, [])


def test_both_are_committed_with_the_session(
    backend: Backend, host: Engine, events: Events
) -> None:
    """The `Session` of SQLAlchemy, with changes before and after."""
    with Session(host) as session, session.begin():
        record(backend, session)
        place_order(session)
    assert (count_orders(host), events()) == (1, ["order_placed"])


def test_both_are_rolled_back_with_a_scoped_session(
    backend: Backend, host: Engine, events: Events
) -> None:
    """As `db.session` of Flask-SQLAlchemy is one."""
    session = scoped_session(sessionmaker(host))
    place_order(session())
    record(backend, session)
    session.rollback()
    session.remove()
    assert (count_orders(host), events()) == (0, [])


def test_the_host_goes_on_after_an_error_in_the_block(
    backend: Backend, host: Engine, events: Events
) -> None:
    """The block is a savepoint: only what it wrote is undone."""
    with host.begin() as connection:
        place_order(connection)
        with (
            suppress(exc.IntegrityError),
            backend.services.database.transaction(connection=connection) as tx,
        ):
            backend.services.audit.record(tx, ApplicationEvent("order_placed"))
            tx.execute(text("INSERT INTO orders VALUES (1)"))
    assert (count_orders(host), events()) == (1, [])


def test_a_key_is_stored_with_the_order(backend: Backend, host: Engine) -> None:
    """A repeated request finds the first one's row, and the host's row exists."""
    request = IdempotentRequest("ada", "place order", "key-1", "1")
    for number in ("first", "second"):
        with (
            host.begin() as connection,
            backend.services.database.transaction(connection=connection) as tx,
        ):
            assert store_key(tx, request, number, now()) == "first"


def sign_in(backend: Backend) -> tuple[str, dict[str, str]]:
    """Sign in; return the session and the header of a request."""
    backend.create_user("ada", "member")
    tokens = backend.login("ada")
    return tokens["session_id"], {"Authorization": f"Bearer {tokens['access_token']}"}


def revoke(backend: Backend, connection: Connection, session_id: str) -> None:
    """Revoke the tokens of a session in a transaction of the host."""
    with backend.services.database.transaction(connection=connection) as tx:
        backend.services.revocation_feed.revoke(tx, f"s:{session_id}")


def status(backend: Backend, headers: dict[str, str]) -> int:
    """Return the status of a request with a token."""
    return backend.client().get("/me", headers=headers).status_code


def test_a_revocation_applies_once_the_host_has_committed(
    backend: Backend, host: Engine, timer: ManualTimer
) -> None:
    """Within a second in every process."""
    session_id, headers = sign_in(backend)
    with host.connect() as connection:
        revoke(backend, connection, session_id)
        assert status(backend, headers) == 200
        connection.commit()
    timer.advance(1.1)
    assert status(backend, headers) == 401


def test_a_revocation_does_not_apply_if_the_commit_of_the_host_fails(
    backend: Backend, host: Engine, timer: ManualTimer
) -> None:
    """Such as by a deferred constraint: a later sign-in of the user is not refused."""
    session_id, headers = sign_in(backend)

    def fail(_: object) -> None:
        raise ZeroDivisionError

    with host.connect() as connection, suppress(ZeroDivisionError):
        revoke(backend, connection, session_id)
        event.listen(connection, "commit", fail)
        connection.commit()
    timer.advance(1.1)
    assert status(backend, headers) == 200


@pytest.mark.parametrize("undo", ["transaction", "savepoint"])
def test_a_revocation_does_not_apply_if_the_host_rolls_back(
    backend: Backend, host: Engine, undo: str
) -> None:
    """All of its transaction, or a savepoint of its own around ours."""
    session_id, headers = sign_in(backend)
    with host.connect() as connection:
        place_order(connection)
        savepoint = connection.begin_nested()
        revoke(backend, connection, session_id)
        connection.rollback() if undo == "transaction" else savepoint.rollback()
        connection.execute(text("SELECT 1"))
        connection.commit()
    assert status(backend, headers) == 200


def test_a_later_savepoint_of_the_host_keeps_ours(
    backend: Backend, host: Engine, timer: ManualTimer
) -> None:
    """Its rollback does not undo the revocation."""
    session_id, headers = sign_in(backend)
    with host.connect() as connection:
        place_order(connection)
        assert status(backend, headers) == 200  # the process has read the revocations
        revoke(backend, connection, session_id)
        connection.begin_nested().rollback()
        connection.commit()
    timer.advance(1.1)
    assert status(backend, headers) == 401


def act_after_commit(backend: Backend, connection: Connection, actions: list[int]) -> None:
    """Note, once the host has committed, that it has."""
    with backend.services.database.transaction(connection=connection) as tx:
        run_after_commit(tx, lambda: actions.append(len(actions)))


def test_a_connection_that_lives_long_gathers_no_handlers(backend: Backend, host: Engine) -> None:
    """Each action runs once, however often the connection was joined before."""
    actions: list[int] = []
    handlers: set[int] = set()
    with host.connect() as connection:
        for _ in range(3):
            act_after_commit(backend, connection, actions)
            handlers.add(len(list(connection.dispatch.commit)))
            connection.commit()
    assert (actions, len(handlers)) == ([0, 1, 2], 1)


def test_an_engine_gathers_no_handlers(backend: Backend, host: Engine) -> None:
    """Nor does one whose options are made for each request, or whose pool is made again."""
    handlers: set[tuple[int, int]] = set()
    for _ in range(3):
        with host.execution_options(logging_token="shop").begin() as connection:
            record(backend, connection)
        dispatch = host.dialect.dispatch, host.pool.dispatch
        handlers.add((len(list(dispatch[0].handle_error)), len(list(dispatch[1].checkin))))
        host.dispose()
    assert len(handlers) == 1


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("act commit", 1),
        ("act rollback act commit", 1),
        ("savepoint act release commit", 1),
        ("savepoint act return commit", 0),
        ("act savepoint act return commit", 1),
        ("act savepoint act release commit", 2),
        ("act savepoint savepoint act release return commit", 1),
        ("act savepoint rollback act commit", 1),
        ("act commit savepoint act return act commit", 2),
    ],
)
def test_an_action_runs_if_its_savepoint_is_committed(
    backend: Backend, host: Engine, steps: str, expected: int
) -> None:
    """And not if the host returned to one before it."""
    actions: list[int] = []
    savepoints: list[NestedTransaction] = []
    with host.connect() as connection:
        do: dict[str, Callable[[], object]] = {
            "act": lambda: act_after_commit(backend, connection, actions),
            "commit": connection.commit,
            "rollback": connection.rollback,
            "savepoint": lambda: savepoints.append(connection.begin_nested()),
            "release": lambda: savepoints.pop().commit(),
            "return": lambda: savepoints.pop().rollback(),
        }
        place_order(connection)
        for step in steps.split():
            do[step]()
    assert len(actions) == expected


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize(("end", "stored"), [("COMMIT", 1), ("ROLLBACK", 0), ("SELECT 1", 0)])
def test_a_transaction_that_the_host_begins_by_hand_is_joined(
    backend: Backend, host: Engine, events: Events, end: str, stored: int
) -> None:
    """In autocommit mode, where nobody else ends it: no row of ours outlives those of the host."""
    engine = create_engine(host.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        record(backend, connection)
        place_order(connection)
        connection.exec_driver_sql(end)
    engine.dispose()
    assert (count_orders(host), len(events())) == (stored, stored)


def test_a_transaction_of_ours_can_be_joined(backend: Backend, events: Events) -> None:
    """So a function that takes `connection` can be called in `auth.transaction()`."""
    with suppress(ZeroDivisionError), backend.services.database.transaction() as tx:
        record(backend, tx)
        raise ZeroDivisionError
    assert events() == []


@pytest.fixture
def log() -> Iterator[LogRecords]:
    """What the layer logs."""
    records, logger = LogRecords(), logging.getLogger("itemsapi.audit")
    logger.addHandler(records)
    yield records
    logger.removeHandler(records)


@pytest.mark.parametrize("fails", [True, False])
def test_an_event_is_logged_once_the_commit_is_certain(
    backend: Backend, host: Engine, log: LogRecords, fails: bool
) -> None:
    """S-149: not if a deferred constraint fails, although SQLAlchemy has told of the commit."""
    child = (
        "CREATE TEMPORARY TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"
    )
    with host.connect() as connection:
        if host.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.exec_driver_sql("CREATE TEMPORARY TABLE parent (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql(child)
        connection.commit()
        record(backend, connection)
        if fails:
            connection.exec_driver_sql("INSERT INTO child VALUES (1)")
        with pytest.raises(exc.IntegrityError) if fails else nullcontext():
            connection.commit()
        connection.invalidate() if fails else None  # SQLite is still in the transaction
    assert [line.split()[0] for line in log.lines()] == ([] if fails else ["order_placed"])


def test_an_event_is_logged_when_the_next_transaction_begins(
    backend: Backend, host: Engine, log: LogRecords
) -> None:
    """A connection that lives long need not be given back first."""
    with host.connect() as connection:
        record(backend, connection)
        connection.commit()
        place_order(connection)
        assert len(log.lines()) == 1


@pytest.mark.parametrize("field", ["event", "user_id", "caller_id", "session_id"])
@pytest.mark.parametrize("value", ["a\0b", "x" * 129, "\ud800", ""])
def test_an_event_with_an_unstorable_text_is_rejected(
    backend: Backend, field: str, value: str
) -> None:
    """On both databases in the same words, and without the parameters of a statement."""
    fields: dict[str, Any] = {"event": "order_placed", field: value}
    with (
        backend.services.database.transaction() as tx,
        pytest.raises(ValueError, match=rf"^an audit event needs a {field} of 1 to \d+ printable"),
    ):
        backend.services.audit.record(tx, **fields)


def test_a_connection_by_another_name_of_the_server_is_joined(
    backend: Backend, host: Engine, events: Events, tmp_path: Path
) -> None:
    """Such as a pooler, another host name or a link to the file."""
    if host.dialect.name == "sqlite":
        (tmp_path / "link.db").symlink_to(str(host.url.database))
        url = host.url.set(database=str(tmp_path / "link.db"))
    else:
        url = host.url.update_query_dict({"application_name": "shop"})
    other = create_engine(url)
    with other.begin() as connection:
        record(backend, connection)
    other.dispose()
    assert events() == ["order_placed"]


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_connection_to_the_same_name_on_another_server_is_rejected(
    backend: Backend, host: Engine
) -> None:
    """Such as a shard or a copy for tests: the revocation would reach nobody."""
    with start_postgres() as server:
        execute(server.get_uri(), f"CREATE DATABASE {host.url.database}")
        other = create_engine(
            make_url(url_of(server.get_uri(), str(host.url.database))).set(
                drivername="postgresql+psycopg"
            )
        )
        with other.connect() as connection, pytest.raises(ValueError, match="another database"):
            record(backend, connection)
        other.dispose()


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_connection_that_finds_other_tables_is_rejected(backend: Backend, host: Engine) -> None:
    """A schema that comes first has the tables of another layer."""
    with host.connect() as connection:
        connection.exec_driver_sql("CREATE SCHEMA other")
        connection.exec_driver_sql("CREATE TABLE other.itemsapi_revocation (seq BIGINT)")
        connection.exec_driver_sql("SET LOCAL search_path = other, public")
        with pytest.raises(ValueError, match="schema"):
            record(backend, connection)


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_connection_is_joined_after_the_server_became_another(
    backend: Backend, host: Engine, events: Events
) -> None:
    """What was remembered of ours is asked again: a restart changes it."""
    for _ in range(2):
        with host.begin() as connection:
            record(backend, connection)
        backend.services.database._identity._known = "before the restart"  # noqa: SLF001
    assert events() == ["order_placed"] * 2


def test_a_connection_to_another_database_is_rejected(backend: Backend) -> None:
    """Before anything is written there."""
    other = create_engine("sqlite://")
    with other.connect() as connection, pytest.raises(ValueError, match="to another database"):
        record(backend, connection)
    other.dispose()


@pytest.mark.parametrize("place", ["connection", "engine", "create_engine"])
def test_a_connection_in_autocommit_mode_is_rejected(
    backend: Backend, host: Engine, place: str
) -> None:
    """It has no transaction to join, and the rows of the host stay as they are."""
    options = {"isolation_level": "AUTOCOMMIT"}
    engine = create_engine(host.url, **options) if place == "create_engine" else host
    engine = engine.execution_options(**options) if place == "engine" else engine
    with engine.connect() as connection:
        if place == "connection":
            connection.execution_options(**options)
        with pytest.raises(ValueError, match="autocommit"):
            record(backend, connection)
        place_order(connection)
    engine.dispose()
    assert count_orders(host) == 1


def test_a_host_that_begins_by_itself_is_no_autocommit(
    backend: Backend, host: Engine, events: Events
) -> None:
    """SQLAlchemy's advice for SQLite: no transactions of the driver, and BEGIN at each begin."""
    if host.dialect.name == "sqlite":
        event.listen(host, "connect", lambda driver, _: setattr(driver, "isolation_level", None))
        event.listen(host, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        host.dispose()
    with host.connect() as connection:
        record(backend, connection)
        place_order(connection)
        connection.commit()
    assert (count_orders(host), events()) == (1, ["order_placed"])


def test_an_unavailable_database_is_a_problem(backend: Backend, host: Engine) -> None:
    """R-35: as in a transaction of our own."""
    with (
        host.connect() as connection,
        pytest.raises(DatabaseUnavailable),
        backend.services.database.transaction(connection=connection) as tx,
    ):
        tx.execute(text("SELECT * FROM nowhere"))
