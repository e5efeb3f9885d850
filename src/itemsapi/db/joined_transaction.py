"""Join a transaction that the application has open on the same database.

What we write is committed or rolled back with it. Two transactions could not be: on an SQLite file
the second one would wait for the first, which waits for it.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session, scoped_session

HostConnection = Connection | Session | scoped_session[Any]

_ACTIONS = "itemsapi_after_commit"  # in `Session.info`, of a session that has joined


@contextmanager
def join_transaction(connection: HostConnection, own_engine: Engine) -> Iterator[Session]:
    """Yield a session in the open transaction of `connection`; the caller commits it later.

    The block is a savepoint: if it raises, only what it wrote is undone, and on PostgreSQL the
    caller can go on after an error. Raise `ValueError` for a connection to another database, or one
    in autocommit mode.
    """
    outer = host_connection(connection)
    _require_same_database(outer, own_engine)
    _begin(outer)
    with (
        Session(outer, expire_on_commit=False, join_transaction_mode="create_savepoint") as tx,
        tx.begin(),
    ):
        actions: list[Callable[[], None]] = tx.info.setdefault(_ACTIONS, [])
        yield tx
    if actions:
        _run_at_commit(outer, actions)


def host_connection(connection: HostConnection) -> Connection:
    """Return the connection of an open transaction of the application."""
    return connection if isinstance(connection, Connection) else connection.connection()


def has_joined(tx: Session) -> bool:
    """Return whether a session has joined a transaction of the application."""
    return _ACTIONS in tx.info


def after_commit(tx: Session, action: Callable[[], None]) -> None:
    """Run `action` once the changes of `tx` are committed, and not if they are rolled back.

    If `tx` has joined a transaction of the application, the action runs when that is committed.
    """
    actions = tx.info.get(_ACTIONS)
    if actions is None:
        event.listen(tx, "after_commit", lambda _: action(), once=True)
    else:
        actions.append(action)


def _require_same_database(connection: Connection, own_engine: Engine) -> None:
    """Raise `ValueError` unless the connection is to our database, as far as names tell."""
    theirs, ours = connection.engine.url.database, own_engine.url.database
    is_same = connection.dialect.name == own_engine.dialect.name
    if is_same and connection.dialect.name == "sqlite":
        file = connection.exec_driver_sql("SELECT file FROM pragma_database_list").scalar()
        is_same = bool(file) and Path(str(file)).resolve() == Path(ours or "").resolve()
    elif is_same:
        is_same = theirs == ours or not (theirs and ours)
    if not is_same:
        words = "auth.transaction(connection=...) needs a connection to ITEMSAPI_DATABASE_URL"
        raise ValueError(f"{words}, and this one is to another database")


def _begin(connection: Connection) -> None:
    """Begin the transaction in the database, if that did not happen yet.

    Python's driver for SQLite begins it only before the first change. Without it, the end of our
    savepoint would be a commit (https://www.sqlite.org/lang_savepoint.html).
    """
    connection.exec_driver_sql("SELECT 1")  # SQLAlchemy begins, with the host's own event handlers
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


class _PendingActions:
    """The actions that run when a connection commits, unless it rolls our changes back before.

    There is one for each connection, however often it is joined: a connection that lives long would
    gather handlers otherwise. SQLAlchemy tells of a commit just before it. Each savepoint that is
    open has a list of its own; the return to one that was open before all of this undoes all.
    """

    def __init__(self, connection: Connection) -> None:
        """Listen to a connection, and keep no reference to it."""
        self._by_savepoint: list[list[Callable[[], None]]] = [[]]
        for name, handler in (
            ("commit", self._run),
            ("commit_twophase", self._run),
            ("rollback", self._clear),
            ("rollback_twophase", self._clear),
            ("savepoint", self._open_savepoint),
            ("release_savepoint", self._release_savepoint),
            ("rollback_savepoint", self._return_to_savepoint),
        ):
            event.listen(connection, name, handler)

    def add(self, actions: Iterable[Callable[[], None]]) -> None:
        """Add actions for the changes of a savepoint that was released just now."""
        self._by_savepoint[-1].extend(actions)

    def _run(self, *_: object) -> None:
        actions = list(itertools.chain.from_iterable(self._by_savepoint))
        self._clear()
        for action in actions:
            action()

    def _clear(self, *_: object) -> None:
        self._by_savepoint = [[]]

    def _open_savepoint(self, *_: object) -> None:
        self._by_savepoint.append([])

    def _release_savepoint(self, *_: object) -> None:
        if len(self._by_savepoint) > 1:
            self.add(self._by_savepoint.pop())

    def _return_to_savepoint(self, *_: object) -> None:
        self._by_savepoint.pop()
        if not self._by_savepoint:
            self._clear()


_pending: WeakKeyDictionary[Connection, _PendingActions] = WeakKeyDictionary()


def _run_at_commit(connection: Connection, actions: Iterable[Callable[[], None]]) -> None:
    if connection not in _pending:
        _pending[connection] = _PendingActions(connection)
    _pending[connection].add(actions)
