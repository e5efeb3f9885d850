"""A full disk: SQLite on a small tmpfs (R-06)."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from faults.conftest import Deployment
from support.service import TimedResponse, print_figures, wait_until

DISK_BYTES = 4 * 1024 * 1024

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of four megabytes; mounting one needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    mount_point = tmp_path_factory.mktemp("disk")
    command = ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(mount_point)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if mounted.returncode != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(mounted.stderr)
    yield mount_point
    subprocess.run(["/bin/umount", "-l", str(mount_point)], check=True)  # noqa: S603 - our own folder


@pytest.fixture(scope="module")
def deployment(
    small_disk: Path, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[Deployment]:
    """The service with its database on the small disk."""
    with deploy("sqlite", url=f"sqlite:///{small_disk}/itemsapi.db", workers=1) as opened:
        yield opened


def fill(ballast: Path) -> None:
    """Fill the disk to the last byte."""
    with ballast.open("ab", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            print_figures("full disk", ballast=file.tell())


def refresh_until_error(deployment: Deployment, token: str) -> tuple[str, TimedResponse]:
    """Refresh until the disk is full; return the last valid token and the error response."""
    line = deployment.service.connect()
    while (response := line.refresh(token)).status == 200:
        token = response.body["refresh_token"]
    return token, response


def test_a_full_disk_fails_only_writes_until_there_is_space(
    deployment: Deployment, small_disk: Path
) -> None:
    """R-06: a refresh gets 503, token checks succeed; later the same token works, no restart."""
    session, other = deployment.open_session(), deployment.open_session()
    fill(small_disk / "ballast")
    token, response = refresh_until_error(deployment, session.refresh_token)
    check_status = deployment.service.connect().check_token(other.access_token).status
    (small_disk / "ballast").unlink()
    recovered_after = wait_until(
        lambda: deployment.service.connect().refresh(token).status == 200, 10
    )
    print_figures("room again", seconds=recovered_after)
    assert (response.status, response.code, check_status) == (503, "database_unavailable", 204)
    assert response.headers.get("retry-after") == "1"


def test_the_database_is_consistent_after_the_disk_was_full(deployment: Deployment) -> None:
    """R-06: SQLite checks every page."""
    with deployment.backend.services.database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
