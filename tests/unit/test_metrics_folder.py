"""The folder that the workers of one service count in (R-36)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from itemsapi.observability.metrics import FOLDER_VARIABLE
from itemsapi.server import metrics_folder
from itemsapi.server.metrics_folder import FOLDER_PREFIX, LOCK_NAME, shared_folder
from itemsapi.settings import SettingsError
from support.command_line import free_port


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in the place of the memory's."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(metrics_folder, "SHARED_MEMORY", tmp_path)
    return tmp_path


def folders(memory: Path) -> list[Path]:
    """Return what services have made there."""
    return list(memory.glob(f"{FOLDER_PREFIX}*"))


def test_several_workers_get_a_folder_that_is_gone_in_the_end(memory: Path) -> None:
    """They find it in their environment."""
    with shared_folder(2):
        assert [str(path) for path in folders(memory)] == [os.environ[FOLDER_VARIABLE]]
    assert (folders(memory), FOLDER_VARIABLE in os.environ) == ([], False)


def test_one_worker_needs_none(memory: Path) -> None:
    """It counts in its own memory."""
    with shared_folder(1):
        assert folders(memory) == []


def test_what_a_killed_service_left_behind_is_removed(memory: Path) -> None:
    """It lies in memory, which nobody else would give back."""
    left = memory / f"{FOLDER_PREFIX}left"
    left.mkdir()
    (left / LOCK_NAME).touch()
    (left / "counter_0.db").touch()
    with shared_folder(2):
        assert not left.exists()


def test_what_a_living_service_counts_in_is_left_alone(memory: Path) -> None:
    """Two services of one user on one machine."""
    with shared_folder(2):
        living = Path(os.environ.pop(FOLDER_VARIABLE))
        with shared_folder(2):
            assert (living / LOCK_NAME).exists()
        os.environ[FOLDER_VARIABLE] = str(living)


def test_no_folder_anywhere_is_one_line_that_says_what_to_set(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count in a file that the disk has no room for ends a process."""
    monkeypatch.setattr(metrics_folder, "MIN_FREE_BYTES", 2**62)
    with pytest.raises(SettingsError, match=FOLDER_VARIABLE), shared_folder(2):
        pass


def test_a_folder_that_cannot_be_used_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
    """And no traceback of whoever imports the metrics."""
    (tmp_path / "file").touch()
    environment = os.environ | {
        FOLDER_VARIABLE: str(tmp_path / "file"),
        "ITEMSAPI_DATA_DIR": str(tmp_path),
    }
    run = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "itemsapi", "serve", "--workers", "2", "--port", str(free_port())],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, len(run.stderr.splitlines()), FOLDER_VARIABLE in run.stderr) == (
        1,
        1,
        True,
    )
