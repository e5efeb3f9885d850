"""Opening a SQLite file: the first moments of a new one, with others at the door."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from support.race import race

from itemsapi.db import Database, sqlite
from itemsapi.problems import DatabaseUnavailable

DOORS = 8
ROUNDS = 100  # before a refused process tried again, some went wrong


def test_nobody_is_refused_when_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Turning on the write-ahead log is a race that SQLite ends with BUSY, unasked (R-07)."""
    for number in range(ROUNDS):
        doors = [Database(f"sqlite:///{tmp_path / f'{number}.db'}") for _ in range(DOORS)]
        assert race(*(partial(_mode, door) for door in doors)) == ["wal"] * DOORS
        for door in doors:
            door.dispose()


def _mode(door: Database) -> object:
    with door.reading() as connection:
        return connection.scalar(text("PRAGMA journal_mode"))


def test_a_file_that_stays_locked_is_given_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some other program has it for itself; that is a 503, not a thread that hangs."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setitem(sqlite.CONNECT_ARGS, "timeout", 0.01)
    path = tmp_path / "locked.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseUnavailable):
            _mode(Database(f"sqlite:///{path}"))
