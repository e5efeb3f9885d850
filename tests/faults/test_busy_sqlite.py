"""Eight workers on one SQLite file, with a long reader, a backup and VACUUM (R-07)."""

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
CHECKPOINT_BYTES = 1000 * 4096  # bytes of the log after which a writer checkpoints, by default

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployment(deploy: Callable[..., AbstractContextManager[Deployment]]) -> Iterator[Deployment]:
    """The service with eight workers, or two in a quick run."""
    with deploy("sqlite", workers=8 if FULL else 2, threads=2) as opened:
        yield opened


def database_file(deployment: Deployment) -> Path:
    """Return the database file."""
    return Path(make_url(deployment.service.environment["ITEMSAPI_DATABASE_URL"]).database or "")


@contextmanager
def refreshing(deployment: Deployment) -> Iterator[list[TimedResponse]]:
    """Let clients refresh about twenty times a second each, during the block."""
    answers: list[TimedResponse] = []
    stop = threading.Event()

    def client() -> None:
        connection, token = (
            deployment.service.connect(timeout=60),
            deployment.open_session().refresh_token,
        )
        while not stop.wait(0.03):
            answer = connection.refresh(token)
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


def wait_for_more(answers: list[TimedResponse], count: int) -> None:
    """Wait until `count` more responses have arrived."""
    due = len(answers) + count
    wait_until(lambda: len(answers) >= due, 120)


def p99(answers: list[TimedResponse]) -> float:
    """Return the 99th percentile of the response times."""
    taken = sorted(answer.seconds for answer in answers)
    return taken[len(taken) * 99 // 100]


def wal_size(deployment: Deployment) -> int:
    """Return the size of the write-ahead log in bytes."""
    file = database_file(deployment)
    return file.with_name(f"{file.name}-wal").stat().st_size


def disturb(path: Path, answers: list[TimedResponse], count: int) -> None:
    """Keep a read snapshot open during `count` refreshes, make a backup, and vacuum."""
    with closing(sqlite3.connect(path, timeout=60)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM itemsapi_session").fetchone()
        with (
            closing(sqlite3.connect(path, timeout=60)) as source,
            closing(sqlite3.connect(f"{path}.backup")) as target,
        ):
            source.backup(target, pages=1, sleep=0.005)
        wait_for_more(answers, count)
        reader.execute("ROLLBACK")
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as cleaner:
        cleaner.execute("VACUUM")


def test_refreshes_succeed_while_others_read_back_up_and_vacuum(deployment: Deployment) -> None:
    """R-07: every refresh returns 200.

    99 of 100 take less than half a second, or less than five times the undisturbed time.
    """
    count = rounds(2000, 300)
    with refreshing(deployment) as undisturbed:
        wait_for_more(undisturbed, count)
    with refreshing(deployment) as answers:
        disturb(database_file(deployment), answers, count)
        wait_for_more(answers, count)
    print_figures(
        "busy SQLite",
        refreshes=len(answers),
        p99_seconds=p99(answers),
        undisturbed=p99(undisturbed),
    )
    assert {answer.status for answer in answers} == {200}
    assert p99(answers) < max(0.5, 5 * p99(undisturbed))


def test_the_write_ahead_log_stays_bounded(deployment: Deployment) -> None:
    """R-07: it grows during a long read; after the read, the next writers restart it."""
    count = rounds(2000, 300)
    with refreshing(deployment) as answers:
        disturb(database_file(deployment), answers, count)
        size_with_reader = wal_size(deployment)
        wait_for_more(answers, 6 * count)
        after = wal_size(deployment)
    print_figures("log", with_a_reader_mib=size_with_reader / MIB, after_mib=after / MIB)
    assert after < 1.2 * max(size_with_reader, CHECKPOINT_BYTES)


def test_the_backup_is_consistent(deployment: Deployment) -> None:
    """R-07: a backup made under load passes the integrity check."""
    with closing(sqlite3.connect(f"{database_file(deployment)}.backup")) as backup:
        assert backup.execute("PRAGMA integrity_check").fetchone() == ("ok",)
