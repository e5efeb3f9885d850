"""Opening a SQLite file: the first moments of a new one, with others at the door."""

from functools import partial
from pathlib import Path

from sqlalchemy import text

from itemsapi.db import Database
from renewal import all_at_once

DOORS = 8
ROUNDS = 100  # before a refused process tried again, some went wrong


def test_nobody_is_refused_when_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Turning on the write-ahead log is a race that SQLite ends with BUSY, unasked (R-07)."""
    for number in range(ROUNDS):
        doors = [Database(f"sqlite:///{tmp_path / f'{number}.db'}") for _ in range(DOORS)]
        assert all_at_once([partial(_mode, door) for door in doors]) == ["wal"] * DOORS
        for door in doors:
            door.dispose()


def _mode(door: Database) -> object:
    with door.reading() as connection:
        return connection.scalar(text("PRAGMA journal_mode"))
