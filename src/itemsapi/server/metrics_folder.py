"""The folder in which the workers of a service count together, so that any reports all (R-36)."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from itemsapi.extras import extra
from itemsapi.observability.metrics import FOLDER_VARIABLE
from itemsapi.settings import SettingsError

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - files in memory, on Linux
MIN_FREE_BYTES: Final = 16 * 1024 * 1024  # a process that counts dies if the space runs out
FOLDER_PREFIX: Final = "itemsapi-metrics-"
LOCK_NAME: Final = "service.lock"  # held by the service that the folder belongs to


def require_metrics() -> None:
    """Raise `SettingsError` if requests cannot be counted in the folder that an operator set."""
    with extra("metrics", "the service"):
        from itemsapi.observability.prometheus import folder_error  # noqa: PLC0415 - an extra
    if folder_error:
        raise SettingsError(f"{FOLDER_VARIABLE} cannot be used: {folder_error}")


@contextmanager
def shared_folder(workers: int) -> Iterator[None]:
    """Provide the folder to several workers. Raise `SettingsError` if there is none.

    Folders that killed services left behind are removed.
    """
    if workers == 1 or FOLDER_VARIABLE in os.environ:
        yield
        return
    parent = next(filter(_is_usable, _parent_folders()), None)
    if parent is None:
        raise SettingsError(
            f"{FOLDER_VARIABLE} is needed: neither {SHARED_MEMORY} nor the temporary folder"
            " can be written and has room; set it to a folder for the counts of the workers, or"
            " serve with one worker"
        )
    _remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=parent))
    lock = _create_lock(folder)
    try:
        os.environ[FOLDER_VARIABLE] = str(folder)
        yield
    finally:
        del os.environ[FOLDER_VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _parent_folders() -> Iterator[Path]:
    yield SHARED_MEMORY
    with suppress(OSError):
        yield Path(tempfile.gettempdir())


def _is_usable(folder: Path) -> bool:
    try:
        stats = os.statvfs(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK) and stats.f_bavail * stats.f_frsize >= MIN_FREE_BYTES


def _create_lock(folder: Path) -> int:
    """Create the lock file of a folder; it is locked before others can see it."""
    temporary = folder / f"{LOCK_NAME}.draft"
    lock = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    temporary.rename(folder / LOCK_NAME)
    return lock


def _remove_abandoned(parent: Path) -> None:
    for lock in parent.glob(f"{FOLDER_PREFIX}*/{LOCK_NAME}"):
        with suppress(OSError):  # it is another user's, or another start removes it
            descriptor = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent)
            finally:
                os.close(descriptor)
