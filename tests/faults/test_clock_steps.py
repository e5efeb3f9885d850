"""A clock that is set: twenty minutes on, an hour back, two seconds back (R-10).

libfaketime (Debian: `libfaketime`) moves the service's wall clock while it runs. Its monotonic
clock goes on, as it does when an operator sets the time.
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
    """Return where libfaketime is, or skip."""
    found = next(Path("/usr/lib").glob(f"*/{LIBRARY}"), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no libfaketime here")
    return found


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that tells the service how far its clock is off."""
    path = tmp_path_factory.mktemp("clock") / "faketime"
    path.write_text("+0")
    return path


@pytest.fixture(scope="module")
def stepped(
    watch: Path, deploy: Callable[..., AbstractContextManager[Deployment]]
) -> Iterator[Deployment]:
    """The service under a clock that can be set."""
    under = {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(watch),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with deploy("sqlite", workers=1, environment=under) as opened:
        yield opened


@pytest.fixture
def deployment(stepped: Deployment, watch: Path) -> Iterator[Deployment]:
    """The service at the right time, before and after."""
    yield stepped
    watch.write_text("+0")


def test_tokens_expire_and_refresh_works_when_the_clock_jumps_ahead(
    deployment: Deployment, watch: Path
) -> None:
    """R-10: twenty minutes on, an access token is old and the session is not."""
    session, line = deployment.open_session(), deployment.service.connect()
    assert line.check_token(session.access_token).status == 204
    watch.write_text("+20m")
    wait_until(lambda: line.check_token(session.access_token).status == 401, 2)
    made = line.refresh(session.refresh_token).body
    assert line.check_token(made["access_token"]).status == 204


@pytest.mark.parametrize("step", ["-2", "-30"])
def test_fresh_tokens_are_let_in_when_the_clock_steps_back(
    deployment: Deployment, watch: Path, step: str
) -> None:
    """R-10: tokens dated a little ahead are good (plain Flask-JWT-Extended answers 422)."""
    session, line = deployment.open_session(), deployment.service.connect()
    made = line.refresh(session.refresh_token).body
    watch.write_text(step)
    assert line.check_token(made["access_token"]).status == 204
    again = line.refresh(session.refresh_token)
    assert (again.status, "refresh_token" in again.body) == (200, False)


def test_the_next_refresh_brings_a_good_token_when_the_clock_is_an_hour_back(
    deployment: Deployment, watch: Path
) -> None:
    """R-10: what is dated an hour ahead is refused, and the session goes on."""
    session, line = deployment.open_session(), deployment.service.connect()
    watch.write_text("-1h")
    wait_until(lambda: line.check_token(session.access_token).status == 401, 2)
    made = line.refresh(session.refresh_token)
    print_figures("an hour back", refresh=made.status)
    assert line.check_token(made.body["access_token"]).status == 204


def test_what_was_taken_back_stays_so_when_the_clock_is_an_hour_back(
    deployment: Deployment, watch: Path
) -> None:
    """R-10: revocation does not look at the clock."""
    session, line = deployment.open_session(), deployment.service.connect()
    watch.write_text("-1h")
    made = line.refresh(session.refresh_token).body
    line.call("POST", "/auth/logout", {"refresh_token": made["refresh_token"]})
    watch.write_text("+0")
    assert line.check_token(session.access_token).status == 401
    assert line.check_token(made["access_token"]).status == 401


def test_rotation_goes_by_generation_and_not_by_the_clock(
    deployment: Deployment, watch: Path
) -> None:
    """R-10: back and forth, each successor is the next generation; an old one ends it all."""
    session, line = deployment.open_session(), deployment.service.connect()
    token = session.refresh_token
    for step in ("-1h", "+20m", "-2", "+0"):
        watch.write_text(step)
        answer = line.refresh(token)
        assert answer.status == 200, answer.body
        token = answer.body["refresh_token"]
    assert deployment.generation(session) == 5
    watch.write_text("+20m")
    assert line.refresh(session.refresh_token).code == "refresh_reused"
