"""The items in SQLite without a library: for the programs that are written by hand."""

import json
import sqlite3
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
INSERT = f"INSERT INTO item VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - constant


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
