"""Schemathesis against the running service: documented is what happens (S-014, S-080, S-083).

What it may not judge: data that fits the schema and is refused all the same (another list's cursor,
a version that is out of date, a role that is not there), which no schema can say.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.real_server import RunningServer, running_server

# 428 is what RFC 6585 has for a missing If-Match; Schemathesis expects it to be a 400.
CONFIG = """
[checks]
missing_required_header.expected-statuses = ["400", "401", "403", "406", "415", "422", "428"]
"""
# They would end the very session that asks, or change what it may do.
OWN_SESSION = ("sign_out", "delete_sessions", "delete_session")
OWN_RIGHTS = (
    *("delete_all_sessions", "delete_user_sessions", "change_user", "set_user_password"),
    *("put_role", "delete_role"),
)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[RunningServer]:
    """A running service, at which nobody has tried a password yet."""
    with running_server(tmp_path, threads=8) as wire:
        yield wire


def judged(wire: RunningServer, folder: Path, token: bytes, *, without: tuple[str, ...]) -> str:
    """Run Schemathesis with all checks; return what it found fault with, or nothing."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), f"--config-file={config}", "run", "--no-color"]
    command += ["--checks=all", "--exclude-checks=positive_data_acceptance"]
    command += ["--generation-deterministic", "--max-examples=12"]
    command += [f"--exclude-operation-id={name}" for name in without]
    command += ["-H", f"Authorization: Bearer {token.decode()}"]
    command.append(f"http://127.0.0.1:{wire.port}/openapi.json")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)  # noqa: S603 - as installed
    return "" if done.returncode == 0 else f"{done.stdout[-6000:]}{done.stderr[-2000:]}"


@pytest.mark.slow
def test_the_service_does_what_it_documents_with_every_scope(
    wire: RunningServer, tmp_path: Path
) -> None:
    """Every check, from examples to sequences of calls."""
    assert judged(wire, tmp_path, wire.login(), without=OWN_SESSION + OWN_RIGHTS) == ""


@pytest.mark.slow
def test_the_service_does_what_it_documents_with_few_scopes(
    wire: RunningServer, tmp_path: Path
) -> None:
    """Most of it is refused then, as documented."""
    token = wire.login(scope="items:read")
    assert judged(wire, tmp_path, token, without=OWN_SESSION) == ""
