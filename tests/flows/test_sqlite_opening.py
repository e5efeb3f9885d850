"""Opening an SQLite file: several processes at once, and files that cannot be opened."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from itemsapi.command_line import command_line
from itemsapi.db import Database, sqlite
from itemsapi.problems import DatabaseUnavailable
from support.race import race

OPENERS = 8
ROUNDS = 100  # without the retry some of them failed


def test_all_succeed_when_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """SQLite reports BUSY without waiting when several enable the write-ahead log (R-07)."""
    for number in range(ROUNDS):
        databases = [Database(f"sqlite:///{tmp_path / f'{number}.db'}") for _ in range(OPENERS)]
        assert race(*(partial(_mode, database) for database in databases)) == ["wal"] * OPENERS
        for database in databases:
            database.dispose()


def _mode(database: Database) -> object:
    with database.reading() as connection:
        return connection.scalar(text("PRAGMA journal_mode"))


def test_a_file_that_stays_locked_is_a_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program locked it: the thread does not wait for ever."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setitem(sqlite.CONNECT_ARGS, "timeout", 0.01)
    path = tmp_path / "locked.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseUnavailable):
            _mode(Database(f"sqlite:///{path}"))


def test_a_missing_folder_is_named_with_what_to_do_next(tmp_path: Path) -> None:
    """As on a new machine, before the migrations ran; SQLite would name no file (R-35)."""
    with pytest.raises(DatabaseUnavailable) as refused:
        _mode(Database(f"sqlite:///{tmp_path}/instance/itemsapi.db"))
    words = f"database: there is no folder {tmp_path}/instance for the database; make it, and run"
    assert refused.value.cause == f"{words} {command_line('db upgrade')}"


def test_a_file_that_cannot_be_opened_is_explained(tmp_path: Path) -> None:
    """It is of another user, or no file."""
    with pytest.raises(DatabaseUnavailable) as refused:
        _mode(Database(f"sqlite:///{tmp_path}"))
    assert refused.value.cause.endswith(
        "; let the user of this process read and write the file and its folder"
    )


class UnopenableFile:
    """A connection whose file cannot be opened."""

    attempts = 0

    def execute(self, _statement: str) -> None:
        """Fail as SQLite does."""
        self.attempts += 1
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error


def test_a_file_that_cannot_be_opened_is_not_tried_again() -> None:
    """Only BUSY passes by itself."""
    file: Any = UnopenableFile()
    with pytest.raises(sqlite3.OperationalError):
        sqlite.__dict__["_enable_wal"](file)
    assert file.attempts == 1
