"""Files with the service's data are readable by their owner only."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from itemsapi.db import Database, upgrade
from support.command_line import Shell, shell_at


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """The umask of most machines; file modes must not depend on a stricter one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """Return the permissions of a file or folder."""
    return path.stat().st_mode & 0o777


def test_database_files_are_readable_by_the_owner_only(tmp_path: Path) -> None:
    """The write-ahead log contains rows too."""
    database = Database(f"sqlite:///{tmp_path}/items.db")
    upgrade(database)
    with database.transaction() as tx:
        tx.execute(text("DELETE FROM itemsapi_role"))
    modes = {file.name: mode(file) for file in tmp_path.iterdir()}
    database.dispose()
    assert modes == dict.fromkeys(("items.db", "items.db-shm", "items.db-wal"), 0o600)


def test_the_database_file_is_private_before_sqlite_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is created with its mode, not changed afterwards."""
    seen: list[int] = []
    connect = sqlite3.connect

    def connect_and_record(path: str, *args: object, **options: object) -> sqlite3.Connection:
        seen.append(mode(Path(path)))
        return connect(path, *args, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect_and_record)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", connect_and_record)
    database = Database(f"sqlite:///{tmp_path}/items.db")
    with database.reading():
        assert seen == [0o600]
    database.dispose()


def test_the_data_directory_and_the_key_are_private(tmp_path: Path) -> None:
    """`db upgrade` creates the directory, the first key needs a secret key."""
    folder = tmp_path / "data"
    shell = Shell({"data_dir": str(folder)})
    assert shell.run("db", "upgrade").code == 0
    shell.run("keys", "rotate", "--no-wait")
    assert mode(folder) == 0o700
    assert {mode(file) for file in folder.iterdir()} == {0o600}


def test_check_warns_when_others_may_read_the_database(tmp_path: Path) -> None:
    """The mode is not changed; one line names the one command to run, for all files."""
    shell = shell_at(tmp_path)
    shell.run("db", "upgrade")
    file = tmp_path / "itemsapi.db"
    file.chmod(0o640)
    found = [each["message"] for each in shell.run("check", "--json").json["findings"]]
    files = [f"{file}{suffix}" for suffix in ("", "-wal", "-shm")]
    advice = f"others may read {', '.join(files)}; run chmod 600 {' '.join(files)}"
    assert [words for words in found if "others may read" in words] == [advice]


def test_check_does_not_warn_when_the_database_is_private(tmp_path: Path) -> None:
    """There is no warning."""
    shell = shell_at(tmp_path)
    shell.run("db", "upgrade")
    assert "others may read" not in shell.run("check").out
