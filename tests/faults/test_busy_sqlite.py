"""Eight workers on one SQLite file, with a long reader, a backup, and VACUUM (R-07)."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from faults.conftest import Deployment
from support.large_views import MIB
from support.rounds import FULL, rounds
from support.service import TimedResponse, print_figures, wait_until

CLIENTS = 8
CHECKPOINT = 1000 * 4096  # bytes of the log after which a writer copies it back, unless told else

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """The service with eight workers, a few where a few rounds must do."""
    with deploy("sqlite", workers=8 if FULL else 2, threads=2) as opened:
        yield opened


def file_of(deployment: Deployment) -> Path:
    """Return the database file."""
    return Path(make_url(deployment.service.environment["ITEMSAPI_DATABASE_URL"]).database or "")


@contextmanager
def refreshing(deployment: Deployment) -> Iterator[list[TimedResponse]]:
    """Let clients refresh, each its own session, some twenty times a second, meanwhile."""
    answers: list[TimedResponse] = []
    stop = threading.Event()

    def client() -> None:
        line, token = (
            deployment.service.connect(timeout=60),
            deployment.open_session().refresh_token,
        )
        while not stop.wait(0.03):
            answer = line.refresh(token)
            answers.append(answer)
            token = answer.body.get("refresh_token", token) if answer.status == 200 else token

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def more(answers: list[TimedResponse], count: int) -> None:
    """Wait until so many more have come."""
    due = len(answers) + count
    wait_until(lambda: len(answers) >= due, 120)


def late(answers: list[TimedResponse]) -> float:
    """Return the 99th percentile of what answers took."""
    taken = sorted(answer.seconds for answer in answers)
    return taken[len(taken) * 99 // 100]


def log_of(deployment: Deployment) -> int:
    """Return how many bytes the write-ahead log holds."""
    file = file_of(deployment)
    return file.with_name(f"{file.name}-wal").stat().st_size


def disturb(path: Path, answers: list[TimedResponse], count: int) -> None:
    """Hold a read snapshot open for so many refreshes, take a backup of it, and vacuum."""
    with closing(sqlite3.connect(path, timeout=60)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM itemsapi_session").fetchone()
        with (
            closing(sqlite3.connect(path, timeout=60)) as source,
            closing(sqlite3.connect(f"{path}.backup")) as target,
        ):
            source.backup(target, pages=1, sleep=0.005)
        more(answers, count)
        reader.execute("ROLLBACK")
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as cleaner:
        cleaner.execute("VACUUM")


def test_nobody_hears_that_the_database_is_locked(deployment: Deployment) -> None:
    """R-07: every refresh is answered with 200 while others read, back up and vacuum.

    99 of 100 within half a second, or a few times as late as where nobody disturbs.
    """
    count = rounds(2000, 300)
    with refreshing(deployment) as calm:
        more(calm, count)
    with refreshing(deployment) as answers:
        disturb(file_of(deployment), answers, count)
        more(answers, count)
    print_figures("busy SQLite", refreshes=len(answers), p99=late(answers), calm=late(calm))
    assert {answer.status for answer in answers} == {200}
    assert late(answers) < max(0.5, 5 * late(calm))


def test_the_log_does_not_grow_without_bound(deployment: Deployment) -> None:
    """R-07: a reader lets it grow; when the reader has left, the next writers begin it anew."""
    count = rounds(2000, 300)
    with refreshing(deployment) as answers:
        disturb(file_of(deployment), answers, count)
        held = log_of(deployment)
        more(answers, 6 * count)
        after = log_of(deployment)
    print_figures("log", with_a_reader_mib=held / MIB, after_mib=after / MIB)
    assert after < 1.2 * max(held, CHECKPOINT)


def test_the_backup_is_whole(deployment: Deployment) -> None:
    """R-07: what was copied under way opens and is consistent."""
    with closing(sqlite3.connect(f"{file_of(deployment)}.backup")) as backup:
        assert backup.execute("PRAGMA integrity_check").fetchone() == ("ok",)
