"""Join a transaction that the application has open on the same database.

What we write is committed or rolled back with it. Two transactions could not be: on an SQLite file
the second one would wait for the first, which waits for it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

from itemsapi.db import host_commit
from itemsapi.db.identity import DatabaseIdentity

HostConnection = Connection | Session | scoped_session[Any]

_ACTIONS, _HAS_JOINED = "itemsapi_after_commit", "itemsapi_has_joined"  # in `Session.info`
_SNAPSHOT_LEVELS = {"repeatable read", "serializable"}


@contextmanager
def join_transaction(connection: HostConnection, own: DatabaseIdentity) -> Iterator[Session]:
    """Yield a session in the open transaction of `connection`; the caller commits it later.

    The block is a savepoint: if it raises, only what it wrote is undone, and on PostgreSQL the
    caller can go on after an error. Raise `ValueError` for a connection to another database, or one
    in autocommit mode.
    """
    outer = begin_to_join(connection, own)
    with (
        Session(outer, expire_on_commit=False, join_transaction_mode="create_savepoint") as tx,
        tx.begin(),
    ):
        tx.info[_HAS_JOINED] = True
        actions = actions_after_commit(tx)
        yield tx
    if actions:
        host_commit.run_after_commit(outer, actions)


def begin_to_join(connection: HostConnection, own: DatabaseIdentity) -> Connection:
    """Return the connection of a transaction that can be joined; see `join_transaction`."""
    outer = host_connection(connection)
    own.require(outer)  # a statement: SQLAlchemy begins, with the host's own event handlers
    _begin(outer)
    return outer


def require_read_committed(connection: Connection) -> None:
    """Raise `ValueError` for a transaction on PostgreSQL that reads from an old snapshot.

    It would not see the sessions and revocations that others committed since its first statement.
    """
    level = str(connection.exec_driver_sql("SHOW transaction_isolation").scalar())
    if level in _SNAPSHOT_LEVELS:
        raise ValueError(
            "auth.users_changed(connection=...) needs the isolation level READ COMMITTED, and this"
            f" transaction has {level.upper()}: call it without connection= after the commit"
        )


def host_connection(connection: HostConnection) -> Connection:
    """Return the connection of an open transaction of the application."""
    return connection if isinstance(connection, Connection) else connection.connection()


def is_flushing(connection: HostConnection) -> bool:
    """Return whether this is a session that is flushing: a handler of it calls us."""
    session = connection() if isinstance(connection, scoped_session) else connection
    return isinstance(session, Session) and session._flushing  # noqa: SLF001 - as in its manual


def has_joined(tx: Session) -> bool:
    """Return whether a session has joined a transaction of the application."""
    return _HAS_JOINED in tx.info


def run_after_commit(tx: Session, action: Callable[[], None]) -> None:
    """Run `action` once the changes of `tx` are committed, and not if they are rolled back.

    If `tx` has joined a transaction of the application, the action runs when that is committed.
    """
    actions_after_commit(tx).append(action)


def actions_after_commit(tx: Session) -> list[Callable[[], None]]:
    """Return the actions that whoever commits `tx` has to run afterwards."""
    actions: list[Callable[[], None]] = tx.info.setdefault(_ACTIONS, [])
    return actions


def _begin(connection: Connection) -> None:
    """Begin the transaction in the database, if that did not happen yet.

    Python's driver for SQLite begins it only before the first change. Without it, the end of our
    savepoint would be a commit (https://www.sqlite.org/lang_savepoint.html).
    """
    if _is_autocommit(connection):
        words = "auth.transaction(connection=...) needs a transaction to join"
        raise ValueError(f"{words}, and this connection is in autocommit mode")
    if connection.dialect.name == "sqlite" and not _has_begun(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_autocommit(connection: Connection) -> bool:
    """Return whether each statement of the host is committed at once, so that nobody would commit.

    Drivers for SQLite have no transactions of their own then (`isolation_level` is None); the same
    is true if the host begins them with an event handler, but then there is one.
    """
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return True
    driver_connection = connection.connection.driver_connection
    if getattr(driver_connection, "autocommit", False) is True:
        return True
    begins_nothing = getattr(driver_connection, "isolation_level", "") is None
    is_sqlite = connection.dialect.name == "sqlite"
    return is_sqlite and begins_nothing and not _has_begun(connection)


def _has_begun(connection: Connection) -> bool:
    return bool(getattr(connection.connection.driver_connection, "in_transaction", False))
