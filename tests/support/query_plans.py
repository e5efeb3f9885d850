"""The plans of the statements that a database runs, for tests of indexes."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event

from itemsapi.db import Database

# So few rows are read and sorted faster without an index; PostgreSQL uses one if it can.
_PREFER_INDEXES = "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"


def query_plans(database: Database, act: Callable[[], object]) -> list[str]:
    """Return the steps of the plans of all statements that `act` runs."""
    return (_sqlite_plans if database.dialect == "sqlite" else _postgres_plans)(database, act)


def _sqlite_plans(database: Database, act: Callable[[], object]) -> list[str]:
    """Read the statements from SQLite itself: not all of them pass through SQLAlchemy."""
    seen: list[str] = []

    def trace(connection: Any, _: object) -> None:
        connection.set_trace_callback(seen.append)

    database.dispose()
    event.listen(database.engine, "connect", trace)
    act()
    event.remove(database.engine, "connect", trace)
    database.dispose()
    selects = [sql for sql in seen if sql.startswith("SELECT") and "itemsapi_item" in sql]
    with database.reading() as connection:
        return [row[3] for sql in selects for row in _explain(connection, sql, ())]


def _explain(connection: Connection, sql: str, params: Any) -> Any:
    words = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    return connection.exec_driver_sql(f"{words} {sql}", params).all()


def _postgres_plans(database: Database, act: Callable[[], object]) -> list[str]:
    seen: list[tuple[str, Any]] = []

    def see(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        seen.append((sql, parameters))

    event.listen(database.engine, "before_cursor_execute", see)
    act()
    event.remove(database.engine, "before_cursor_execute", see)
    selects = [(sql, params) for sql, params in seen if "itemsapi_item" in sql]
    with database.engine.begin() as connection:
        connection.exec_driver_sql(_PREFER_INDEXES)
        return [row[0] for sql, params in selects for row in _explain(connection, sql, params)]
