"""Schemathesis checks that the running service matches its document (S-014, S-080, S-083).

It does not check that valid data is accepted: data can match the schema and still be rejected (the
cursor of another list, an outdated version, an unknown role), which no schema can express.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.real_server import RunningServer, running_server

# RFC 6585 defines 428 for a missing If-Match; Schemathesis expects 400.
CONFIG = """
[checks]
missing_required_header.expected-statuses = ["400", "401", "403", "406", "415", "422", "428"]
"""
# These operations would end the session of the test, or change its permissions.
OWN_SESSION = ("sign_out", "delete_sessions", "delete_session")
OWN_RIGHTS = (
    *("delete_all_sessions", "delete_user_sessions", "delete_user_session"),
    *("change_user", "set_user_password", "put_role", "delete_role"),
)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[RunningServer]:
    """A running service without failed sign-ins."""
    with running_server(tmp_path, threads=8) as wire:
        yield wire


def run_schemathesis(
    wire: RunningServer, folder: Path, token: bytes, *, without: tuple[str, ...]
) -> str:
    """Run Schemathesis with all checks; return its output if a check failed, else ""."""
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
def test_service_matches_its_document_when_the_token_has_all_scopes(
    wire: RunningServer, tmp_path: Path
) -> None:
    """All checks, from examples to sequences of requests."""
    assert run_schemathesis(wire, tmp_path, wire.login(), without=OWN_SESSION + OWN_RIGHTS) == ""


@pytest.mark.slow
def test_service_matches_its_document_when_the_token_has_one_scope(
    wire: RunningServer, tmp_path: Path
) -> None:
    """Most requests are rejected, as documented."""
    token = wire.login(scope="items:read")
    assert run_schemathesis(wire, tmp_path, token, without=OWN_SESSION) == ""
