"""Faults of the database at the n-th step of whatever is done: a statement, or a commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, event, exc

from itemsapi.db import Database

FaultMode = Literal["once", "from then on", "answer lost"]


@dataclass
class FaultInjector:
    """Counts steps, and lets the one numbered `at` fail, or all from it on.

    `answer lost`: a commit takes place, and nobody is told.
    """

    at: int = 0
    mode: FaultMode = "once"
    taken: int = 0
    failed: int = 0

    def statement(self, *_: Any) -> None:
        """A statement is about to be run."""
        self._step()

    def commit(self, connection: Connection) -> None:
        """A transaction is about to be committed."""
        if self.mode == "answer lost" and self.taken + 1 == self.at:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.commit()
        self._step()

    def _step(self) -> None:
        self.taken += 1
        if self.taken == self.at or (self.mode == "from then on" and 0 < self.at <= self.taken):
            self.failed += 1
            raise exc.OperationalError("a step", {}, ConnectionError("the database is away"))


@contextmanager
def failing_database(
    database: Database, at: int = 0, how: FaultMode = "once"
) -> Iterator[FaultInjector]:
    """Let a step fail within the block; none with 0, to count them."""
    steps = FaultInjector(at, how)
    listeners = [("before_cursor_execute", steps.statement), ("commit", steps.commit)]
    for name, listener in listeners:
        event.listen(database.engine, name, listener)
    try:
        yield steps
    finally:
        for name, listener in listeners:
            event.remove(database.engine, name, listener)
