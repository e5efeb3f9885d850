"""The folder in which the workers of one service count together (R-36)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from itemsapi.observability.metrics import FOLDER_VARIABLE
from itemsapi.server import metrics_folder
from itemsapi.server.metrics_folder import FOLDER_PREFIX, LOCK_NAME, shared_folder
from itemsapi.settings import SettingsError
from support.free_port import free_port


@pytest.fixture
def shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in place of the shared memory."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(metrics_folder, "SHARED_MEMORY", tmp_path)
    return tmp_path


def metrics_folders(shared_memory: Path) -> list[Path]:
    """Return the metrics_folders that services created there."""
    return list(shared_memory.glob(f"{FOLDER_PREFIX}*"))


def test_several_workers_get_a_folder_that_is_removed_at_the_end(shared_memory: Path) -> None:
    """Its path is in their environment."""
    with shared_folder(2):
        assert [str(path) for path in metrics_folders(shared_memory)] == [
            os.environ[FOLDER_VARIABLE]
        ]
    assert (metrics_folders(shared_memory), FOLDER_VARIABLE in os.environ) == ([], False)


def test_one_worker_gets_no_folder(shared_memory: Path) -> None:
    """It counts in its own memory."""
    with shared_folder(1):
        assert metrics_folders(shared_memory) == []


def test_the_folder_of_a_killed_service_is_removed(shared_memory: Path) -> None:
    """It is in memory, which would otherwise never be freed."""
    abandoned = shared_memory / f"{FOLDER_PREFIX}abandoned"
    abandoned.mkdir()
    (abandoned / LOCK_NAME).touch()
    (abandoned / "counter_0.db").touch()
    with shared_folder(2):
        assert not abandoned.exists()


def test_the_folder_of_a_running_service_is_kept(shared_memory: Path) -> None:
    """Two services of one user may run on one machine."""
    with shared_folder(2):
        running = Path(os.environ.pop(FOLDER_VARIABLE))
        with shared_folder(2):
            assert (running / LOCK_NAME).exists()
        os.environ[FOLDER_VARIABLE] = str(running)


def test_the_error_says_what_to_set_when_no_folder_is_usable(
    shared_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process ends if it counts in a file that the disk has no room for."""
    monkeypatch.setattr(metrics_folder, "MIN_FREE_BYTES", 2**62)
    with pytest.raises(SettingsError, match=FOLDER_VARIABLE), shared_folder(2):
        pass


def test_the_start_fails_with_one_line_when_the_folder_is_unusable(tmp_path: Path) -> None:
    """The line names the setting; importing the metrics causes no traceback."""
    (tmp_path / "file").touch()
    environment = os.environ | {
        FOLDER_VARIABLE: str(tmp_path / "file"),
        "ITEMSAPI_DATA_DIR": str(tmp_path),
    }
    result = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "itemsapi", "serve", "--workers", "2", "--port", str(free_port())],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        result.returncode,
        len(result.stderr.splitlines()),
        FOLDER_VARIABLE in result.stderr,
    ) == (
        1,
        1,
        True,
    )
