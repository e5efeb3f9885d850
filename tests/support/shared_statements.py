"""SQL that is compiled once per process, not once per engine.

SQLAlchemy keeps compiled statements by engine and dialect object. Most tests open a database of
their own, and compiling its statements takes more time than all that they do.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event

from itemsapi.db import Model


class SharedStatements(dict[Any, Any]):
    """Compiled statements by the type of the dialect: all engines of one type compile alike."""

    def get(self, key: Any, default: Any = None) -> Any:
        """Return what was compiled for any engine of this type."""
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        """Keep a compiled statement."""
        super().__setitem__((type(key[0]), *key[1:]), compiled)


def share_compiled_statements() -> None:
    """Let all engines of this process, and the mappers of our tables, share what they compile."""
    shared = SharedStatements()

    def use_shared_statements(connection: Connection) -> None:
        connection.execution_options(compiled_cache=shared)

    event.listen(Engine, "engine_connect", use_shared_statements)
    for mapper in Model.registry.mappers:
        mapper._compiled_cache = shared  # noqa: SLF001 - each mapper has one of its own
