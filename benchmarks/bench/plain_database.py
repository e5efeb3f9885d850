"""The items in SQLite without a library: for the programs that are written by hand."""

import json
import sqlite3
import threading
from pathlib import Path

from bench.dataset import items_of

SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, password_hash TEXT);
CREATE TABLE item (
    id TEXT PRIMARY KEY, owner_id INTEGER, name TEXT, description TEXT, sku TEXT, price TEXT,
    currency TEXT, quantity INTEGER, tags TEXT, created_at TEXT, updated_at TEXT
);
CREATE INDEX item_by_owner ON item (owner_id, created_at, id);
"""
COLUMNS = (
    "id", "owner_id", "name", "description", "sku", "price", "currency", "quantity", "tags",
    "created_at", "updated_at",
)  # fmt: skip
SELECT = f"SELECT {', '.join(COLUMNS)} FROM item WHERE owner_id = ?"  # noqa: S608 - constant
SELECT_ONE = f"{SELECT} AND id = ?"
SELECT_PAGE = f"{SELECT} AND created_at < ? ORDER BY created_at DESC LIMIT ?"
FIRST_PAGE = "9"  # later than any time
INSERT = f"INSERT INTO item VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - constant


class Reader:
    """Reads items by one connection a thread."""

    def __init__(self, file: str) -> None:
        """Open nothing yet."""
        self._file, self._threads = file, threading.local()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of this thread."""
        if not hasattr(self._threads, "connection"):
            self._threads.connection = sqlite3.connect(self._file)
        found: sqlite3.Connection = self._threads.connection
        return found

    def one(self, user: int, item_id: str) -> dict[str, object] | None:
        """Return an item of a user. Its tags are JSON text."""
        row = self.connection.execute(SELECT_ONE, [user, item_id]).fetchone()
        return row and dict(zip(COLUMNS, row, strict=True))

    def page(self, user: int, before: str, limit: int) -> list[dict[str, object]]:
        """Return the newest items of a user that are older than a time."""
        rows = self.connection.execute(SELECT_PAGE, [user, before, limit])
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def fill(file: Path, password_hashes: dict[str, str], items_per_user: int) -> None:
    """Create the tables, the users with these password hashes, and their items."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    for user, (name, password_hash) in enumerate(password_hashes.items()):
        connection.execute("INSERT INTO users VALUES (?, ?, ?)", (user, name, password_hash))
        connection.executemany(
            INSERT, [_row(user, item) for item in items_of(user, items_per_user)]
        )
    connection.commit()
    connection.execute("ANALYZE")
    connection.close()


def _row(owner: int, item: object) -> tuple[object, ...]:
    fields = item._asdict()  # type: ignore[attr-defined]
    moment = fields["created_at"].isoformat()
    changed = {"owner_id": owner, "tags": json.dumps(fields["tags"])}
    fields |= changed | {"created_at": moment, "updated_at": moment}
    return tuple(fields[name] for name in COLUMNS)
