"""The look-up session: a session of our own that filters as a session of the application does.

A handler of `do_orm_execute` may hide users who are deleted, or those of another tenant. It may ask
the session that it is called with: its class, its `info`, attributes of its own. With a plain
session the filter would be left out, and the user let in.

Other handlers, such as those of `after_begin`, may write: they are not called, wherever they are
registered.
"""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import cast

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session


def look_up_session(host: object, bind: Engine | Connection) -> Session:
    """Return a session like that of the application, on an engine or connection of our choice.

    It joins a transaction that is open on the connection, and leaves it open.
    """
    session_class = Session
    if isinstance(host, Session):
        session_class = _look_up_class(type(host))  # type: ignore[arg-type]  # a class is hashable
    tx = session_class(bind, autoflush=False, join_transaction_mode="rollback_only")
    _take_over(tx, host)
    return tx


def in_savepoint(joined: Connection | None) -> AbstractContextManager[object]:
    """Return a block after which the application can go on in its transaction, whatever happened.

    On PostgreSQL an error ends a transaction, except in a savepoint.
    """
    if joined is None or joined.dialect.name != "postgresql":
        return nullcontext()
    return joined.begin_nested()


@lru_cache
def _look_up_class(host_class: type[Session]) -> type[Session]:
    """Return a class of sessions that is made as SQLAlchemy's own, and uses the bind it is given.

    The application's may take other arguments, and choose a bind for each query.
    """
    names = {"__init__": Session.__init__, "get_bind": Session.get_bind}
    return cast("type[Session]", type(host_class.__name__, (host_class,), names))


class _NoHandlers:
    """An object with the events of a `Session`, for which nobody registered a handler."""

    dispatch = vars(Session)["dispatch"]


def _take_over(tx: Session, host: object) -> None:
    """Give a session the attributes that are the application's, its `info` and its filters."""
    if isinstance(host, Session):
        own = vars(tx)
        tx.info.update(host.info)
        own.update({name: value for name, value in vars(host).items() if name not in own})
    filters = tuple((host if isinstance(host, Session) else tx).dispatch.do_orm_execute)
    vars(tx)["dispatch"] = _NoHandlers().dispatch  # not those of its class
    for handler in filters:
        event.listen(tx, "do_orm_execute", handler)
