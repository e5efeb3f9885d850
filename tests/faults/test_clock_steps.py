"""The wall clock is changed: 20 minutes forward, an hour back, two seconds back (R-10).

libfaketime (Debian: `libfaketime`) changes the service's wall clock while it runs. The monotonic
clock is not changed, as when an operator sets the time.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from faults.conftest import Deployment
from support.service import print_figures, wait_until

LIBRARY = "faketime/libfaketimeMT.so.1"

pytestmark = pytest.mark.slow


def library() -> Path:
    """Return the path of libfaketime, or skip."""
    found = next(Path("/usr/lib").glob(f"*/{LIBRARY}"), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no libfaketime here")
    return found


@pytest.fixture(scope="module")
def clock_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that contains the offset of the service's clock."""
    path = tmp_path_factory.mktemp("clock") / "faketime"
    path.write_text("+0")
    return path


@pytest.fixture(scope="module")
def faketime_deployment(
    clock_file: Path, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[Deployment]:
    """The service with a clock that can be changed."""
    faketime_environment = {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock_file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with deploy("sqlite", workers=1, environment=faketime_environment) as opened:
        yield opened


@pytest.fixture
def deployment(faketime_deployment: Deployment, clock_file: Path) -> Iterator[Deployment]:
    """The service with the right time before and after the test."""
    yield faketime_deployment
    clock_file.write_text("+0")


def test_tokens_expire_and_refresh_works_when_the_clock_jumps_ahead(
    deployment: Deployment, clock_file: Path
) -> None:
    """R-10: after twenty minutes the access token has expired; the session is still valid."""
    session, connection = deployment.open_session(), deployment.service.connect()
    assert connection.check_token(session.access_token).status == 204
    clock_file.write_text("+20m")
    wait_until(lambda: connection.check_token(session.access_token).status == 401, 2)
    refreshed = connection.refresh(session.refresh_token).body
    assert connection.check_token(refreshed["access_token"]).status == 204


@pytest.mark.parametrize("step", ["-2", "-30"])
def test_fresh_tokens_are_accepted_when_the_clock_steps_back(
    deployment: Deployment, clock_file: Path, step: str
) -> None:
    """R-10: tokens issued slightly in the future are valid (Flask-JWT-Extended: 422)."""
    session, connection = deployment.open_session(), deployment.service.connect()
    refreshed = connection.refresh(session.refresh_token).body
    clock_file.write_text(step)
    assert connection.check_token(refreshed["access_token"]).status == 204
    second_response = connection.refresh(session.refresh_token)
    assert (second_response.status, "refresh_token" in second_response.body) == (200, False)


def test_a_refresh_returns_a_valid_token_when_the_clock_is_an_hour_back(
    deployment: Deployment, clock_file: Path
) -> None:
    """R-10: tokens issued an hour in the future are rejected; the session continues."""
    session, connection = deployment.open_session(), deployment.service.connect()
    clock_file.write_text("-1h")
    wait_until(lambda: connection.check_token(session.access_token).status == 401, 2)
    refreshed = connection.refresh(session.refresh_token)
    print_figures("an hour back", refresh=refreshed.status)
    assert connection.check_token(refreshed.body["access_token"]).status == 204


def test_revoked_tokens_stay_revoked_when_the_clock_is_an_hour_back(
    deployment: Deployment, clock_file: Path
) -> None:
    """R-10: revocation does not depend on the clock."""
    session, connection = deployment.open_session(), deployment.service.connect()
    clock_file.write_text("-1h")
    refreshed = connection.refresh(session.refresh_token).body
    connection.call("POST", "/auth/logout", {"refresh_token": refreshed["refresh_token"]})
    clock_file.write_text("+0")
    assert connection.check_token(session.access_token).status == 401
    assert connection.check_token(refreshed["access_token"]).status == 401


def test_rotation_depends_on_the_generation_not_on_the_clock(
    deployment: Deployment, clock_file: Path
) -> None:
    """R-10: each successor is the next generation; a reused old token ends the session."""
    session, connection = deployment.open_session(), deployment.service.connect()
    token = session.refresh_token
    for step in ("-1h", "+20m", "-2", "+0"):
        clock_file.write_text(step)
        answer = connection.refresh(token)
        assert answer.status == 200, answer.body
        token = answer.body["refresh_token"]
    assert deployment.generation(session) == 5
    clock_file.write_text("+20m")
    assert connection.refresh(session.refresh_token).code == "refresh_reused"
