"""A PostgreSQL database that is emptied after each test: making a new one takes half a second."""

from sqlalchemy import Connection, Engine, create_engine, make_url, text

from itemsapi.db import Model

SCHEMA = """
SELECT string_agg(table_name || '.' || column_name || ' ' || data_type, ',' ORDER BY 1, 2)
FROM (SELECT * FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 3, 4) AS c
"""
TERMINATE_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
SEQUENCES = """
SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences
WHERE schemaname = 'public'
"""


def engine(url: str) -> Engine:
    """Return an engine for statements that commit by themselves."""
    address = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(address, isolation_level="AUTOCOMMIT")


def execute(server: str, statement: str) -> None:
    """Run one statement that commits by itself."""
    made = engine(server)
    with made.connect() as connection:
        connection.execute(text(statement))
    made.dispose()


def url_of(server: str, name: str) -> str:
    """Return the address of a database of a server."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)


class ReusableDatabase:
    """One database, made from a template, that one test after the other has for itself."""

    def __init__(self, server: str, template: str, name: str) -> None:
        """Make it, and note what an empty one holds."""
        self.server, self.template, self.name = server, template, name
        self.url = url_of(server, name)
        self._make()
        with self._engine.connect() as connection:
            self._schema = connection.scalar(text(SCHEMA))
            self._tables = [table.name for table in Model.metadata.sorted_tables]
            rows = {name: _rows(connection, name) for name in self._tables}
        self._seeds = {name: held for name, held in rows.items() if held}

    def empty(self) -> None:
        """Make it as new; if a test changed its schema, make it anew."""
        with self._engine.connect() as connection:
            connection.execute(text(TERMINATE_CONNECTIONS))
            as_it_was = connection.scalar(text(SCHEMA)) == self._schema
            if as_it_was:
                self._refill(connection)
        if not as_it_was:
            self.drop()
            self._make()

    def drop(self) -> None:
        """Remove it."""
        self._engine.dispose()
        execute(self.server, f"DROP DATABASE {self.name} WITH (FORCE)")

    def _make(self) -> None:
        execute(self.server, f"CREATE DATABASE {self.name} TEMPLATE {self.template}")
        self._engine = engine(self.url)

    def _refill(self, connection: Connection) -> None:
        deletions = "; ".join(f"DELETE FROM {name}" for name in reversed(self._tables))  # noqa: S608 - our own names
        connection.exec_driver_sql(deletions)
        for name, rows in self._seeds.items():
            fill = f"INSERT INTO {name} SELECT * FROM json_populate_recordset(null::{name}, :rows)"  # noqa: S608
            connection.execute(text(fill), {"rows": rows})
        connection.execute(text(SEQUENCES))


def _rows(connection: Connection, table: str) -> str | None:
    held: str | None = connection.scalar(text(f"SELECT json_agg(t)::text FROM {table} AS t"))  # noqa: S608
    return held
