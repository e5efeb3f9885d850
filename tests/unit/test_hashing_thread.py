"""The thread that computes password hashes."""

import subprocess
import sys
import threading

import pytest

from itemsapi.accounts.hashing_thread import HashingThread
from itemsapi.problems import Busy

FORKS = """
import os
from itemsapi.accounts.hashing_thread import HashingThread

hashing = HashingThread(1)
hashing.run(bool)
if child := os.fork():
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
else:
    os._exit(hashing.run(lambda: 7))
"""


def test_all_hashes_run_in_one_thread_that_is_not_the_caller() -> None:
    """Each thread that hashes would keep 19 MiB."""
    hashing = HashingThread(1)
    threads = {hashing.run(threading.get_ident) for _ in range(3)}
    assert len(threads - {threading.get_ident()}) == 1


def test_an_error_of_the_work_reaches_the_caller() -> None:
    """Argon2 tells by an error that it had no memory."""
    with pytest.raises(ZeroDivisionError):
        HashingThread(1).run(lambda: 1 / 0)


def test_a_hash_runs_after_a_fork() -> None:
    """A server that forks its workers copies the object and not its thread."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "ignore", "-c", FORKS],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_a_hash_is_refused_when_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may have none left: the client may try again later (R-23)."""

    def refuse(_: threading.Thread) -> None:
        """Fail as the system does."""
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(Busy) as caught:
        HashingThread(1).run(bool)
    assert caught.value.cause == "passwords: can't start new thread"


def test_work_that_found_no_thread_is_dropped_when_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its client got a 503, and the next hash would wait for it."""
    hashing, done = HashingThread(1), list[str]()

    def refuse(_: threading.Thread) -> None:
        """Fail as the system does."""
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Busy):
            hashing.run(lambda: done.append("refused"))
    hashing.run(lambda: done.append("next"))
    assert done == ["next"]
