"""Look-ups whose text goes to the driver return what SQLAlchemy returns."""

import os
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, func, select

from itemsapi.accounts.models import User
from itemsapi.db import Database, Lookup, engine
from itemsapi.items.list_statements import ListShape, list_lookup
from itemsapi.items.models import SORT_FIELDS
from itemsapi.problems import DatabaseUnavailable
from support.item_store import ItemStore

USERS = User.core()
FIND_USER = Lookup(select(USERS).where(USERS.c.id == bindparam("user_id")))


def by_sqlalchemy(database: Database, lookup: Lookup, params: dict[str, Any]) -> list[Any]:
    """Return the rows as SQLAlchemy reads them."""
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(lookup.statement, params)]


@pytest.mark.parametrize("sort", SORT_FIELDS)
def test_the_rows_of_a_list_are_those_of_sqlalchemy(store: ItemStore, sort: str) -> None:
    """Values of every type, in the same order."""
    for number in range(3):
        store.create(name=f"lamp {number}", sku=None if number else "S")
    params = {"owner": store.ada, "row_limit": 2}
    shape = ListShape(store.database.dialect, sort, frozenset({"owner"}), many=False)
    lookup = list_lookup(shape)
    rows = [tuple(row) for row in store.database.fetch(lookup, params)]
    assert rows == by_sqlalchemy(store.database, lookup, params)
    assert len(rows) == 2


def test_booleans_and_missing_times_are_those_of_sqlalchemy(store: ItemStore) -> None:
    """The types of all columns convert their values."""
    params = {"user_id": store.ada}
    rows = [tuple(row) for row in store.database.fetch(FIND_USER, params)]
    assert rows == by_sqlalchemy(store.database, FIND_USER, params)


def test_a_change_is_seen_by_the_next_look_up(store: ItemStore) -> None:
    """A connection that stays open reads no old snapshot."""
    item = store.create(name="old")
    store.items.get(item.id, owner=None)
    store.items.update(item.id, {"name": "new"}, owner=None, version=None)
    assert store.items.get(item.id, owner=None).name == "new"


@pytest.mark.dialect("sqlite")
def test_a_look_up_is_a_503_when_the_table_is_missing(tmp_path: Path) -> None:
    """It names the command that makes the table."""
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(DatabaseUnavailable, match="db upgrade") as caught:
        database.fetch(FIND_USER, {"user_id": "1"})
    database.dispose()
    assert "no such table" in caught.value.cause


@pytest.mark.dialect("sqlite")
def test_a_look_up_is_a_503_when_all_connections_are_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool has an error of its own."""
    monkeypatch.setattr(engine, "POOL_SIZE", 1)
    monkeypatch.setattr(engine, "POOL_TIMEOUT_SECONDS", 0)
    database = Database(f"sqlite:///{tmp_path / 'small.db'}")
    with database.reading(), database.reading(), pytest.raises(DatabaseUnavailable):
        database.fetch(FIND_USER, {"user_id": "1"})
    database.dispose()


@pytest.mark.dialect("sqlite")
def test_a_broken_connection_is_replaced(store: ItemStore) -> None:
    """A look-up is tried once more."""
    item = store.create()
    store.items.get(item.id, owner=None)
    kept(store)[-1].dbapi_connection.close()
    assert store.items.get(item.id, owner=None).id == item.id


@pytest.mark.dialect("sqlite")
def test_a_look_up_uses_the_connection_of_the_last_one(store: ItemStore) -> None:
    """It stays open."""
    item = store.create()
    connections = set()
    for _ in range(3):
        store.items.get(item.id, owner=None)
        connections |= {id(each) for each in kept(store)}
    assert len(connections) == 1


@pytest.mark.dialect("sqlite")
def test_connections_are_closed_with_the_database(store: ItemStore) -> None:
    """None stays open."""
    store.items.get(store.create().id, owner=None)
    connection = kept(store)[-1].dbapi_connection
    store.database.dispose()
    with pytest.raises(Exception, match="closed"):
        connection.execute("SELECT 1")


@pytest.mark.dialect("sqlite")
def test_a_connection_is_closed_when_the_driver_cannot_take_a_value(store: ItemStore) -> None:
    """The error is none of SQLite's, and is not tried again."""
    store.items.get(store.create().id, owner=None)
    connection = kept(store)[-1].dbapi_connection
    with pytest.raises(OverflowError):
        store.database.fetch(FIND_USER, {"user_id": 2**64})
    with pytest.raises(Exception, match="closed"):
        connection.execute("SELECT 1")


@pytest.mark.dialect("sqlite")
def test_a_connection_in_use_is_closed_afterwards_when_the_database_is_closed(
    store: ItemStore,
) -> None:
    """The look-up that uses it ends as usual."""
    store.items.get(store.create().id, owner=None)
    connection = kept(store)[-1].dbapi_connection
    connection.create_function("close_all", 0, store.database.dispose)
    assert store.database.fetch(Lookup(select(func.close_all())), {}) == [(None,)]
    with pytest.raises(Exception, match="closed"):
        connection.execute("SELECT 1")


@pytest.mark.dialect("sqlite")
def test_a_connection_that_stays_open_takes_no_place_in_the_pool(store: ItemStore) -> None:
    """Else the look-ups of many threads would leave none to the transactions."""
    store.items.get(store.create().id, owner=None)
    pool: Any = store.database.engine.pool
    assert (len(kept(store)), pool.checkedout()) == (1, 0)


class TakenMeanwhile(deque[Any]):
    """Connections of which another thread takes the last one, just before it is taken here."""

    def pop(self, *_: int) -> Any:
        """Find none."""
        self.clear()
        return super().pop()


@pytest.mark.dialect("sqlite")
def test_connections_are_closed_when_another_thread_closes_them_too(store: ItemStore) -> None:
    """A look-up that ends meanwhile closes those that it finds."""
    reader = store.database._sqlite_reader  # noqa: SLF001 - of SQLite
    assert reader is not None
    reader._idle = TakenMeanwhile([object()])  # noqa: SLF001 - as above
    reader.close()
    assert not kept(store)


@pytest.mark.dialect("sqlite")
def test_connections_are_neither_used_nor_closed_after_a_fork(
    store: ItemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite forbids both in another process than the one that opened the connection."""
    item = store.create()
    store.items.get(item.id, owner=None)
    inherited, before = kept(store), kept(store)[-1]
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    store.items.get(item.id, owner=None)
    after = kept(store)[-1]
    store.items.get(item.id, owner=None)
    found = (after is not before, kept(store)[-1] is after, before.dbapi_connection is not None)
    store.database._sqlite_reader.close()  # type: ignore[union-attr]  # noqa: SLF001 - the child
    while inherited:
        inherited.pop().close()  # the parent, which is the same process here
    assert found == (True, True, True)


def kept(store: ItemStore) -> Any:
    """Return the connections that stay open."""
    return store.database._sqlite_reader._idle  # type: ignore[union-attr]  # noqa: SLF001 - of SQLite
