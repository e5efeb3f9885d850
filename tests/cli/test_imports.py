"""What a command imports: most of its time is imports, so it imports what it runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from itemsapi.cli import run_again
from support.command_line import SECRET, shell_at

DATABASE = {"sqlalchemy", "alembic"}
HTTP = {"flask", "werkzeug", "flask_jwt_extended", "marshmallow", "webargs", "apispec"}
UNUSED = HTTP | {"alembic", "jwt", "granian", "prometheus_client", "rich"}

# Runs commands in one process, and then writes which of some modules are imported.
RUNS = """
import sys
from itemsapi.cli import main

heavy, *commands = sys.argv[1:]
for command in commands:
    try:
        main(command.split())
    except SystemExit:
        pass
print("imported:", *sorted({*heavy.split(",")} & {*sys.modules}), file=sys.stderr)
"""


def imported(heavy: set[str], folder: Path, *commands: str) -> str:
    """Run commands in a process of their own; return which of the modules they import."""
    settings = {"ITEMSAPI_DATA_DIR": str(folder), "ITEMSAPI_SECRET_KEY": SECRET}
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", RUNS, ",".join(heavy), *commands],
        env=os.environ | settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stderr.splitlines()[-1].removeprefix("imported:").strip()


def test_no_library_of_the_service_is_imported_when_a_command_only_explains(tmp_path: Path) -> None:
    """Help, completion and wrong usage need neither the database nor Flask."""
    commands = ["--help", "users --help", "keys rotate --help", "serve --help", "fly", "users fly"]
    assert imported(DATABASE | UNUSED, tmp_path, *commands) == ""


def test_no_application_is_imported_when_a_command_needs_the_database_only(tmp_path: Path) -> None:
    """Nor Alembic, while the tables are at the newest revision."""
    assert shell_at(tmp_path).run("db", "upgrade").code == 0
    commands = ["users list", "roles list", "keys list", "sessions list ada", "check", "purge"]
    assert imported(UNUSED, tmp_path, *commands) == ""


def test_no_application_is_imported_when_a_command_fails(tmp_path: Path) -> None:
    """The line that says why needs no module that may raise other errors."""
    assert imported(UNUSED, tmp_path, "users list") == ""


def test_nothing_is_taken_over_when_another_process_left_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that a service starts may run `itemsapi serve` itself."""
    monkeypatch.setenv(run_again.VARIABLE, f"[{os.getppid()}, 9, true]")
    assert run_again.received() is None
    assert run_again.VARIABLE not in os.environ
