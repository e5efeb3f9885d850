"""Eight workers on one SQLite file, with a long reader, a backup, and VACUUM (R-07)."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from faults.conftest import Theatre
from faults.stage import FULL, Answer, rounds, told

CLIENTS = 8

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def play(theatre: Callable[..., AbstractContextManager[Theatre]]) -> Iterator[Theatre]:
    """The service with eight workers, a few where a few rounds must do."""
    with theatre("sqlite", workers=8 if FULL else 2, threads=2) as opened:
        yield opened


def file_of(play: Theatre) -> Path:
    """Return the database file."""
    return Path(make_url(play.stage.environment["ITEMSAPI_DATABASE_URL"]).database or "")


def refresh_for(play: Theatre, seconds: float) -> list[Answer]:
    """Let clients refresh, each its own session, some twenty times a second."""
    answers: list[Answer] = []
    ends = time.monotonic() + seconds

    def client() -> None:
        line, token = play.stage.line(), play.session().refresh_token
        while time.monotonic() < ends:
            answers.append(line.refresh(token))
            token = (
                answers[-1].body.get("refresh_token", token) if answers[-1].status == 200 else token
            )
            time.sleep(0.03)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    disturb(file_of(play), seconds)
    for thread in threads:
        thread.join()
    return answers


def disturb(path: Path, seconds: float) -> None:
    """Hold a read snapshot open, take a backup, and vacuum at the end."""
    with closing(sqlite3.connect(path, timeout=10)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM auth_session").fetchone()
        with (
            closing(sqlite3.connect(path, timeout=10)) as source,
            closing(sqlite3.connect(f"{path}.backup")) as target,
        ):
            source.backup(target, pages=1, sleep=0.005)
        time.sleep(seconds / 2)
        reader.execute("ROLLBACK")
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as cleaner:
        cleaner.execute("VACUUM")


def test_nobody_hears_that_the_database_is_locked(play: Theatre) -> None:
    """R-07: every refresh is answered with 200 while others read, back up and vacuum."""
    answers = refresh_for(play, rounds(20, 2))
    taken = sorted(answer.seconds for answer in answers)
    late, log = taken[len(taken) * 99 // 100], file_of(play).with_name("itemsapi.db-wal")
    told(
        "busy SQLite",
        refreshes=len(answers),
        p50=taken[len(taken) // 2],
        p99=late,
        worst=taken[-1],
        wal_mib=log.stat().st_size / 2**20,
    )
    assert {answer.status for answer in answers} == {200}
    assert late < (0.5 if FULL else 2.0)


def test_the_backup_is_whole(play: Theatre) -> None:
    """R-07: what was copied under way opens and is consistent."""
    with closing(sqlite3.connect(f"{file_of(play)}.backup")) as backup:
        assert backup.execute("PRAGMA integrity_check").fetchone() == ("ok",)
