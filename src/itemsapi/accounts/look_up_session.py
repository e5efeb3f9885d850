"""The look-up session: a session of our own that filters as a session of the application does.

A handler of `do_orm_execute` may hide users who are deleted, or those of another tenant. It may ask
the session that it is called with: its class, its `info`, attributes of its own. With a plain
session the filter would be left out, and the user let in.
"""

from functools import lru_cache
from typing import cast

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session


def look_up_session(host: object, bind: Engine | Connection) -> Session:
    """Return a session like that of the application, on an engine or connection of our choice.

    It joins a transaction that is open on the connection, and leaves it open.
    """
    if not isinstance(host, Session):
        return Session(bind, autoflush=False, join_transaction_mode="rollback_only")
    session_class = _look_up_class(type(host))  # type: ignore[arg-type]  # a class is hashable
    tx = session_class(bind, autoflush=False, join_transaction_mode="rollback_only")
    _take_over(tx, host)
    return tx


@lru_cache
def _look_up_class(host_class: type[Session]) -> type[Session]:
    """Return a class of sessions that is made as SQLAlchemy's own, and uses the bind it is given.

    The application's may take other arguments, and choose a bind for each query.
    """
    names = {"__init__": Session.__init__, "get_bind": Session.get_bind}
    return cast("type[Session]", type(host_class.__name__, (host_class,), names))


def _take_over(tx: Session, host: Session) -> None:
    """Give a session the attributes that are the application's, its `info` and its handlers."""
    ours = set(tx.dispatch.do_orm_execute)  # those of the class; `dispatch` is an attribute now
    tx.info.update(host.info)
    vars(tx).update({name: value for name, value in vars(host).items() if name not in vars(tx)})
    for handler in [each for each in host.dispatch.do_orm_execute if each not in ours]:
        event.listen(tx, "do_orm_execute", handler)
