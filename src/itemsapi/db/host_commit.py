"""The commit of a transaction of the application: changes just before it, actions after it.

SQLAlchemy tells of the commit of a connection just before it, and of nothing after it. So a commit
is certain when the connection begins the next transaction, or returns to its pool, without an error
of the commit in between.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.elements import SavepointClause

from itemsapi.observability.logging import log

Action = Callable[[], None]
Apply = Callable[[Session, list[Any]], None]
Join = Callable[[Connection], AbstractContextManager[Session]]

_IDLE = 0  # PQTRANS_IDLE of PostgreSQL's client library
_COMMITTED = "itemsapi_committed"  # in `Connection.info`: actions of a commit that is not certain


@dataclass(frozen=True, slots=True)
class Change:
    """A change that waits for a commit: `apply` is called with all items of a transaction."""

    join: Join
    apply: Apply
    item: Any


def change_before_commit(connection: Connection, change: Change) -> None:
    """Make a change just before the connection commits.

    If the change fails, its error is that of the commit, and nothing is committed.
    """
    _commit_of(connection).add(changes=[change])


def run_after_commit(connection: Connection, actions: Iterable[Action]) -> None:
    """Run actions once the connection has certainly committed."""
    _commit_of(connection).add(actions=actions)


@dataclass(slots=True)
class _Waiting:
    """What waits for the commit, of one savepoint; the first is that of the transaction itself."""

    savepoint: str = ""
    changes: list[Change] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)


class _HostCommit:
    """What waits for the commit of one connection, however often it is joined.

    Each open savepoint has a list of its own. The end of one is that of all later ones, too: the
    return to it drops what was added since. There is one object for a connection: one that lives
    long would gather listeners otherwise.
    """

    def __init__(self, connection: Connection) -> None:
        """Listen to a connection, and keep no reference to it."""
        self._by_savepoint = [_Waiting()]
        for name, listener in (
            ("begin", self._confirm),
            ("begin_twophase", self._confirm),
            ("prepare_twophase", self._make_changes),
            ("commit", self._prepare_commit),
            ("commit_twophase", self._prepare_commit),
            ("rollback", self._roll_back),
            ("rollback_twophase", self._clear),
            ("before_execute", self._open_savepoint),  # `savepoint` does not have the name yet
            ("release_savepoint", self._release_savepoint),
            ("rollback_savepoint", self._return_to_savepoint),
        ):
            event.listen(connection, name, listener)
        _listen_for_outcomes(connection.engine)

    def add(self, changes: Iterable[Change] = (), actions: Iterable[Action] = ()) -> None:
        """Add what waits for the end of the current savepoint."""
        self._by_savepoint[-1].changes.extend(changes)
        self._by_savepoint[-1].actions.extend(actions)

    def _confirm(self, connection: Connection, *_: object) -> None:
        _run_committed(connection.info)

    def _make_changes(self, connection: Connection, *_: object) -> None:
        """Make the changes of all savepoints; those with the same `apply` at once."""
        items: dict[tuple[Join, Apply], list[Any]] = {}
        for waiting in self._by_savepoint:
            for change in waiting.changes:
                items.setdefault((change.join, change.apply), []).append(change.item)
            waiting.changes.clear()
        for (join, apply), all_items in items.items():
            with _rolling_back(connection), join(connection) as tx:
                apply(tx, all_items)

    def _prepare_commit(self, connection: Connection, *_: object) -> None:
        self._make_changes(connection)
        actions = itertools.chain.from_iterable(waiting.actions for waiting in self._by_savepoint)
        connection.info.setdefault(_COMMITTED, []).extend(actions)
        self._clear()

    def _clear(self, *_: object) -> None:
        self._by_savepoint = [_Waiting()]

    def _roll_back(self, connection: Connection, *_: object) -> None:
        if any(waiting.changes for waiting in self._by_savepoint) and _is_over(connection):
            hint = "end it with commit() or rollback(), and tell of the changed users again"
            log.error("transaction_ended_by_sql", lost="a change for its commit", hint=hint)
        self._clear()

    def _open_savepoint(
        self, _: Connection, clause: object, _many: object, _one: object, _options: object
    ) -> None:
        if isinstance(clause, SavepointClause):
            self._by_savepoint.append(_Waiting(str(clause.ident)))

    def _release_savepoint(self, _: Connection, name: str, *__: object) -> None:
        for released in self._close_savepoint(name):
            self.add(released.changes, released.actions)

    def _return_to_savepoint(self, _: Connection, name: str, *__: object) -> None:
        self._close_savepoint(name)

    def _close_savepoint(self, name: str) -> list[_Waiting]:
        """Remove a savepoint and all later ones; return what they had.

        One that is not known was open before all of them: what is left is an empty beginning.
        """
        names = [waiting.savepoint for waiting in self._by_savepoint]
        first = names.index(name) if name in names else 0
        closed, self._by_savepoint = self._by_savepoint[first:], self._by_savepoint[:first]
        if not self._by_savepoint:
            self._clear()
        return closed


def _is_over(connection: Connection) -> bool:
    """Return whether the driver knows that SQL text has ended the transaction, such as `COMMIT`."""
    if connection.invalidated:
        return False
    info = getattr(connection.connection.driver_connection, "info", None)
    return getattr(info, "transaction_status", None) == _IDLE  # of psycopg and psycopg2


@contextmanager
def _rolling_back(connection: Connection) -> Iterator[None]:
    """Close the connection to the server if the block raises.

    After an error of a listener SQLAlchemy believes that the commit has failed in the database, and
    sends no rollback: the next user of the connection would commit all of it.
    """
    try:
        yield
    except BaseException:
        connection.invalidate()
        raise


_commits: WeakKeyDictionary[Connection, _HostCommit] = WeakKeyDictionary()


def _commit_of(connection: Connection) -> _HostCommit:
    if connection not in _commits:
        _commits[connection] = _HostCommit(connection)
    return _commits[connection]


def _listen_for_outcomes(engine: Engine) -> None:
    """Learn, once for an engine, whether a commit failed, and when a connection is given back.

    Engines with other options share the dialect and the pool; `event.contains` would not tell.
    """
    if _on_checkin not in tuple(engine.pool.dispatch.checkin):
        event.listen(engine, "checkin", _on_checkin)
    if _on_error not in tuple(engine.dialect.dispatch.handle_error):
        event.listen(engine, "handle_error", _on_error)


def _on_checkin(_driver_connection: object, record: ConnectionPoolEntry) -> None:
    _run_committed(record.info)


def _on_error(context: ExceptionContext) -> None:
    connection = context.connection
    if connection is not None and not connection.closed and not connection.invalidated:
        connection.info.pop(_COMMITTED, None)


def _run_committed(info: MutableMapping[Any, Any]) -> None:
    for action in info.pop(_COMMITTED, ()):
        action()
