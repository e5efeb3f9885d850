"""A PostgreSQL database that is emptied after each test: creating one takes half a second."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, make_url, text

from itemsapi.clock import new_id
from itemsapi.db import Model
from itemsapi.db.ownership import ITEM_VERSION_TABLE, VERSION_TABLE

SCHEMA = """
SELECT string_agg(table_name || '.' || column_name || ' ' || data_type, ',' ORDER BY 1, 2)
FROM (SELECT * FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 3, 4) AS c
"""
TERMINATE_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
LOCKED_OUT = "wait_event_type = 'Lock'"
SEQUENCES = """
SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences
WHERE schemaname = 'public'
"""


def engine(url: str) -> Engine:
    """Return an engine in autocommit mode."""
    address = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(address, isolation_level="AUTOCOMMIT")


def execute(server: str, statement: str) -> None:
    """Execute one statement in autocommit mode."""
    autocommit_engine = engine(server)
    with autocommit_engine.connect() as connection:
        connection.execute(text(statement))
    autocommit_engine.dispose()


def count_connections(url: str, condition: str) -> int:
    """Count the connections to a database with a condition on `pg_stat_activity`."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
    autocommit_engine = engine(url)
    with autocommit_engine.connect() as connection:
        found = connection.execute(text(query + condition)).scalar_one()
    autocommit_engine.dispose()
    return int(found)


def url_of(server: str, name: str) -> str:
    """Return the URL of a database of a server."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@contextmanager
def new_database(server: str, prefix: str = "new") -> Iterator[str]:
    """Yield the URL of a database without tables, which is dropped at the end of the block."""
    name = f"{prefix}_{new_id()[-12:]}"
    execute(server, f"CREATE DATABASE {name}")
    try:
        yield url_of(server, name)
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


class ReusableDatabase:
    """One database, created from a template, which tests use one after another."""

    def __init__(self, server: str, template: str, name: str) -> None:
        """Create the database, and record the rows of an empty one."""
        self.server, self.template, self.name = server, template, name
        self.url = url_of(server, name)
        self._create()
        with self._engine.connect() as connection:
            self._schema = connection.scalar(text(SCHEMA))
            self._tables = [table.name for table in Model.metadata.sorted_tables]
            self._tables += [VERSION_TABLE, ITEM_VERSION_TABLE]
            rows = {name: _rows(connection, name) for name in self._tables}
        self._initial_rows = {name: rows_json for name, rows_json in rows.items() if rows_json}

    def empty(self) -> None:
        """Restore the initial state; recreate the database if a test changed the schema."""
        with self._engine.connect() as connection:
            connection.execute(text(TERMINATE_CONNECTIONS))
            schema_unchanged = connection.scalar(text(SCHEMA)) == self._schema
            if schema_unchanged:
                self._refill(connection)
        if not schema_unchanged:
            self.drop()
            self._create()

    def drop(self) -> None:
        """Drop the database."""
        self._engine.dispose()
        execute(self.server, f"DROP DATABASE {self.name} WITH (FORCE)")

    def _create(self) -> None:
        execute(self.server, f"CREATE DATABASE {self.name} TEMPLATE {self.template}")
        self._engine = engine(self.url)

    def _refill(self, connection: Connection) -> None:
        deletions = "; ".join(f"DELETE FROM {name}" for name in reversed(self._tables))  # noqa: S608 - our own names
        connection.exec_driver_sql(deletions)
        for name, rows in self._initial_rows.items():
            fill = f"INSERT INTO {name} SELECT * FROM json_populate_recordset(null::{name}, :rows)"  # noqa: S608
            connection.execute(text(fill), {"rows": rows})
        connection.execute(text(SEQUENCES))


def _rows(connection: Connection, table: str) -> str | None:
    rows_json: str | None = connection.scalar(text(f"SELECT json_agg(t)::text FROM {table} AS t"))  # noqa: S608
    return rows_json
