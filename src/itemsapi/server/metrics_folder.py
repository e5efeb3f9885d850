"""The folder that the workers of one service count in, so that any of them tells of all (R-36)."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from itemsapi.observability.metrics import FOLDER_VARIABLE, folder_error
from itemsapi.settings import SettingsError

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where Linux keeps files in memory
MIN_FREE_BYTES: Final = 16 * 1024 * 1024  # bytes; a process dies that counts where there is no room
FOLDER_PREFIX: Final = "itemsapi-metrics-"
LOCK_NAME: Final = "service.lock"  # held by the service that the folder belongs to


@contextmanager
def shared_folder(workers: int) -> Iterator[None]:
    """Let several workers count together. Raises `SettingsError` where they cannot.

    What services that were killed have left behind is removed.
    """
    if folder_error:
        raise SettingsError(f"{FOLDER_VARIABLE} cannot be used: {folder_error}")
    if workers == 1 or FOLDER_VARIABLE in os.environ:
        yield
        return
    place = next(filter(_usable, _places()), None)
    if place is None:
        raise SettingsError(
            f"{FOLDER_VARIABLE} is needed: neither {SHARED_MEMORY} nor the temporary folder can be written and has"
            " room; set it to a folder for the counts of the workers, or serve with one worker"
        )
    _remove_left_overs(place)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=place))
    lock = _locked(folder)
    try:
        os.environ[FOLDER_VARIABLE] = str(folder)
        yield
    finally:
        del os.environ[FOLDER_VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _places() -> Iterator[Path]:
    yield SHARED_MEMORY
    with suppress(OSError):
        yield Path(tempfile.gettempdir())


def _usable(place: Path) -> bool:
    try:
        room = os.statvfs(place)
    except OSError:
        return False
    return os.access(place, os.W_OK) and room.f_bavail * room.f_frsize >= MIN_FREE_BYTES


def _locked(folder: Path) -> int:
    """Put the lock into a folder, held already when others can see it."""
    draft = folder / f"{LOCK_NAME}.draft"
    lock = os.open(draft, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    draft.rename(folder / LOCK_NAME)
    return lock


def _remove_left_overs(place: Path) -> None:
    for lock in place.glob(f"{FOLDER_PREFIX}*/{LOCK_NAME}"):
        with suppress(OSError):  # another user's, or another start removes it
            held = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent)
            finally:
                os.close(held)
