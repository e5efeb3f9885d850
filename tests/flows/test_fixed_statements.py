"""Statements that go to the driver of SQLite within a transaction: `fetch` (docs/adr/0018)."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import bindparam, event, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from itemsapi.accounts.models import Role
from itemsapi.db import Database, Lookup, execute, fetch, fetch_first
from itemsapi.issuer.login import LoginRequest, login
from itemsapi.issuer.refresh import RefreshRequest, refresh
from itemsapi.observability.context import (
    RequestContext,
    reset_request_context,
    set_request_context,
)
from itemsapi.problems import CredentialsInvalid, DatabaseUnavailable
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.database_faults import rename_away, rename_back
from support.tokens import open_session

_role = Role.core()
ROLE = Lookup(select(_role).where(_role.c.name == bindparam("wanted")))
ADD_ROLE = Lookup(insert(_role))
RENAME = Lookup(
    update(_role)
    .where(_role.c.name == bindparam("wanted"))
    .values(description=bindparam("new"))
    .returning(_role.c.description)
)


@contextmanager
def record_statements(database: Database) -> Iterator[list[str]]:
    """Collect what the driver of SQLite executes meanwhile, on new connections."""
    statements: list[str] = []
    traced: list[Any] = []

    def trace(connection: Any, *_: object) -> None:
        connection.set_trace_callback(statements.append)
        traced.append(connection)

    database.dispose()
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
    assert verbs(statements) == ["BEGIN", *["SELECT"] * 4, "UPDATE", "COMMIT"]


RESERVE = ["BEGIN", "INSERT", "SELECT", "INSERT", "COMMIT"]  # three limits with each statement
READ = ["SELECT", "SELECT"]  # the user, and whether the client is known
OPEN = ["BEGIN", *["SELECT"] * 3, "DELETE", "INSERT", "INSERT", "SELECT", "INSERT", "COMMIT"]
COUNT = ["BEGIN", *["INSERT"] * 3, "DELETE", "INSERT", "COMMIT"]


@pytest.fixture
def _known_address() -> Iterator[None]:
    """Let the work come from a client whose address can be read."""
    before = set_request_context(RequestContext(address="198.51.100.7"))
    yield
    reset_request_context(before)


@pytest.mark.usefixtures("_known_address")
@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize(
    ("name", "password", "last"),
    [("ada", PASSWORD, OPEN), ("ada", "wrong", COUNT), ("nobody", PASSWORD, COUNT)],
)
def test_a_sign_in_commits_twice(
    backend: Backend, name: str, password: str, last: list[str]
) -> None:
    """Before the hash and after it; a wrong name costs what a wrong password costs (S-045, S-184).

    `OPEN`: the user, the epochs and the scopes are read, the attempt is released, the client is
    remembered, the session is stored, older ones are looked for, and the audit event is written.
    """
    backend.create_user("ada", "member")
    issuer = backend.services.issuer
    login(issuer, LoginRequest("ada", PASSWORD))  # the first one stores the user's state
    with record_statements(backend.services.database) as statements, suppress(CredentialsInvalid):
        login(issuer, LoginRequest(name, password))
    assert verbs(statements) == [*RESERVE, *READ, *last]


def verbs(statements: list[str]) -> list[str]:
    """Return the first word of each statement."""
    return [each.split(maxsplit=1)[0] for each in statements]


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


def test_a_violated_constraint_is_no_outage(database: Database) -> None:
    """R-35: on the driver as with SQLAlchemy, it is a fault of the code."""
    errors = (IntegrityError, sqlite3.IntegrityError)
    with pytest.raises(errors), database.transaction() as tx:
        execute(tx, ADD_ROLE, {"name": "admin"})


def test_a_column_without_a_value_gets_the_default_of_its_model(database: Database) -> None:
    """As SQLAlchemy has it; null if there is none."""
    with database.transaction() as tx:
        execute(tx, ADD_ROLE, {"name": "guest"})
        row = fetch_first(tx, ROLE, {"wanted": "guest"})
    assert row is not None
    assert (row.description, row.everything) == ("", False)


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
