"""Whether this version can use the tables of a database: checked at most once a second.

The tables may change while the process runs. An upgrade makes them newer, which an old process can
use; a downgrade makes them older, which a new process cannot.
"""

import threading
import time

from itemsapi.db.current_schema import is_current
from itemsapi.db.engine import Database
from itemsapi.db.schema_errors import MigrationFailed, SchemaOutdated
from itemsapi.db.writable_probe import PROBE_INTERVAL_SECONDS
from itemsapi.problems import DatabaseUnavailable


class SchemaProbe:
    """Checks the tables of a database, and keeps the result for a second."""

    def __init__(self, database: Database) -> None:
        """Take the database; check nothing yet."""
        self._database, self._lock = database, threading.Lock()
        self._probed_at, self._fault = float("-inf"), ""

    def require_usable(self) -> None:
        """Raise `DatabaseUnavailable` if tables are missing, or older than this version needs.

        One thread checks; the others use the last result and do not wait.
        """
        if self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._probed_at >= PROBE_INTERVAL_SECONDS:
                    self._fault = self._find_fault()
                    self._probed_at = time.monotonic()
            finally:
                self._lock.release()
        if self._fault:
            raise DatabaseUnavailable(cause=f"database: {self._fault}")

    def _find_fault(self) -> str:
        """Return what is wrong with the tables; nothing for newer ones."""
        with self._database.reading() as connection:
            if is_current(self._database, connection):
                return ""
        from itemsapi.db import schema  # noqa: PLC0415 - it imports Alembic

        try:
            schema.require_usable_schema(self._database)
        except (SchemaOutdated, MigrationFailed) as error:
            return str(error)
        return ""
