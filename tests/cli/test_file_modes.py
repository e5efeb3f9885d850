"""Files that hold everybody's data are made for their owner alone."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from itemsapi.db import Database, upgrade
from support.command_line import Shell, shell_at


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """The umask of most machines; what is made must not rely on a stricter one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """Return the permissions of a file or folder."""
    return path.stat().st_mode & 0o777


def test_the_database_and_what_lies_beside_it_are_for_the_owner_alone(tmp_path: Path) -> None:
    """The log holds rows as the file does."""
    database = Database(f"sqlite:///{tmp_path}/items.db")
    upgrade(database)
    modes = {file.name: mode(file) for file in tmp_path.iterdir()}
    database.dispose()
    assert modes == dict.fromkeys(("items.db", "items.db-shm", "items.db-wal"), 0o600)


def test_the_file_is_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there before SQLite opens it, not changed afterwards."""
    seen: list[int] = []
    connect = sqlite3.connect

    def watching(path: str, *args: object, **options: object) -> sqlite3.Connection:
        seen.append(mode(Path(path)))
        return connect(path, *args, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(sqlite3, "connect", watching)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", watching)
    database = Database(f"sqlite:///{tmp_path}/items.db")
    with database.reading():
        assert seen == [0o600]
    database.dispose()


def test_the_data_directory_and_the_key_are_for_the_owner_alone(tmp_path: Path) -> None:
    """As `serve` and `db upgrade` make them."""
    folder = tmp_path / "data"
    assert Shell({"data_dir": str(folder)}).run("db", "upgrade").code == 0
    assert mode(folder) == 0o700
    assert {mode(file) for file in folder.iterdir()} == {0o600}


def test_a_file_that_others_may_read_is_told(tmp_path: Path) -> None:
    """Nothing is changed behind the operator's back; `check` says what to run."""
    shell = shell_at(tmp_path)
    shell.run("db", "upgrade")
    file = tmp_path / "itemsapi.db"
    file.chmod(0o640)
    findings = shell.run("check", "--json").json["findings"]
    assert {"mark": "warning", "about": "database", "words":
            f"others may read {file}; run chmod 600 {file}"} in findings  # fmt: skip


def test_a_file_for_its_owner_alone_is_fine(tmp_path: Path) -> None:
    """No warning without a reason."""
    shell = shell_at(tmp_path)
    shell.run("db", "upgrade")
    assert "others may read" not in shell.run("check").out
