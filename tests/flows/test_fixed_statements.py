"""Statements that go to the driver of SQLite within a transaction: `fetch` (docs/adr/0018)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import bindparam, event, select, text, update
from sqlalchemy.exc import OperationalError

from itemsapi.accounts.models import Role
from itemsapi.db import Database, Lookup, fetch, fetch_first
from itemsapi.issuer.refresh import RefreshRequest, refresh
from itemsapi.problems import DatabaseUnavailable
from support.app_factory import Backend
from support.database_faults import rename_away, rename_back
from support.tokens import open_session

_role = Role.core()
ROLE = Lookup(select(_role).where(_role.c.name == bindparam("wanted")))
RENAME = Lookup(
    update(_role)
    .where(_role.c.name == bindparam("wanted"))
    .values(description=bindparam("new"))
    .returning(_role.c.description)
)


@contextmanager
def record_statements(database: Database) -> Iterator[list[str]]:
    """Collect what the driver of SQLite executes on every connection that is taken meanwhile."""
    statements: list[str] = []
    traced: list[Any] = []

    def trace(connection: Any, *_: object) -> None:
        connection.set_trace_callback(statements.append)
        traced.append(connection)

    event.listen(database.engine, "checkout", trace)
    yield statements
    event.remove(database.engine, "checkout", trace)
    for connection in traced:
        connection.set_trace_callback(None)


@pytest.mark.dialect("sqlite")
def test_a_usual_refresh_takes_five_statements(backend: Backend) -> None:
    """The user, the epochs, the scopes and the session are read; one UPDATE rotates (S-061)."""
    session = open_session(backend, backend.create_user("ada", "member"))
    assert session.refresh_token is not None
    with record_statements(backend.services.database) as statements:
        refresh(backend.services.issuer, session.refresh_token, RefreshRequest("body"))
    begin, *changes, commit = [each.split(maxsplit=1)[0] for each in statements]
    assert (begin, changes, commit) == ("BEGIN", ["SELECT"] * 4 + ["UPDATE"], "COMMIT")


def test_rows_have_their_columns_as_attributes(database: Database) -> None:
    """They are those that SQLAlchemy returns, with the same values and types."""
    with database.transaction() as tx:
        rows = fetch(tx, ROLE, {"wanted": "admin"})
        expected = tx.execute(ROLE.statement, {"wanted": "admin"}).all()
    assert [row._asdict() for row in rows] == [row._asdict() for row in expected] != []


def test_a_change_returns_its_row_and_is_committed(database: Database) -> None:
    """With the transaction of SQLAlchemy, on whose connection it runs."""
    with database.transaction() as tx:
        row = fetch_first(tx, RENAME, {"wanted": "admin", "new": "Runs all"})
    with database.reading() as connection:
        stored = fetch(connection, ROLE, {"wanted": "admin"})
    assert row is not None
    assert row.description == stored[0].description == "Runs all"


def test_a_change_is_rolled_back_when_the_transaction_raises(database: Database) -> None:
    """Nothing of it is stored."""
    with suppress(ZeroDivisionError), database.transaction() as tx:
        fetch(tx, RENAME, {"wanted": "admin", "new": "Runs all"})
        raise ZeroDivisionError
    with database.reading() as connection:
        assert fetch(connection, ROLE, {"wanted": "admin"})[0].description != "Runs all"


def test_a_look_up_sees_new_rows_of_its_session(database: Database) -> None:
    """They are written before it runs, as SQLAlchemy does."""
    with database.transaction() as tx:
        tx.add(Role(name="guest", description="Looks around"))
        assert fetch_first(tx, ROLE, {"wanted": "guest"}) is not None


def fetch_from_missing_table(database: Database) -> None:
    """Change a row, then read a table that is not there."""
    lookup = Lookup(select(text("name")).select_from(text("itemsapi_user_set")))
    with database.transaction() as tx:
        fetch(tx, RENAME, {"wanted": "admin", "new": "Runs all"})
        fetch(tx, lookup, {})


def test_a_failed_look_up_is_an_outage(database: Database) -> None:
    """R-24: what the transaction wrote before is undone, and the next one works."""
    rename_away(database, "itemsapi_user_set")
    with pytest.raises(DatabaseUnavailable, match="db upgrade"):
        fetch_from_missing_table(database)
    rename_back(database, "itemsapi_user_set")
    with database.transaction() as tx:
        row = fetch_first(tx, ROLE, {"wanted": "admin"})
    assert row is not None
    assert row.description != "Runs all"


@pytest.mark.dialect("sqlite")
def test_a_connection_is_closed_when_its_look_up_fails(database: Database) -> None:
    """R-32: it may have found its file read-only, or its transaction undone."""
    connections: list[Any] = []
    with pytest.raises(Exception, match="no such column"):
        fetch_unknown_column(database, connections)
    with pytest.raises(Exception, match="closed"):
        connections[0].execute("SELECT 1")


def fetch_unknown_column(database: Database, connections: list[Any]) -> None:
    """Read a column that is not there; append the connection of the driver."""
    with database.transaction() as tx:
        connections.append(tx.connection().connection.dbapi_connection)
        fetch(tx, Lookup(select(_role.c.name).where(text("colour = 1"))), {})


@pytest.mark.dialect("sqlite")
def test_a_wrong_look_up_is_no_outage(database: Database) -> None:
    """R-35: it is a fault of the code, and the log must show where."""
    lookup = Lookup(select(_role.c.name).where(text("colour = 1")))
    with pytest.raises(Exception, match="no such column") as raised, database.transaction() as tx:
        fetch(tx, lookup, {})
    assert not isinstance(raised.value, DatabaseUnavailable | OperationalError)
