"""Commands at a real terminal: prompts and tables."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from itemsapi.clock import now
from itemsapi.services import build_services
from itemsapi.settings import Settings
from support.command_line import SECRET, shell_at
from support.free_port import free_port

TIMEOUT_SECONDS = 60.0  # on a busy machine


@dataclass
class Terminal:
    """A terminal in which a command runs."""

    process: "subprocess.Popen[bytes]"
    screen: int
    seen: str = ""

    def wait_for(self, words: str) -> str:
        """Wait for a text on the screen; return all output so far."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.screen], [], [], 1)[0]:
                self.seen += self._read()
        return self.seen

    def type_line(self, words: str) -> None:
        """Type a line."""
        os.write(self.screen, f"{words}\n".encode())

    def _read(self) -> str:
        try:
            return os.read(self.screen, 4096).decode()
        except OSError:  # the command has ended
            raise AssertionError(self.seen) from None


@contextmanager
def terminal(folder: Path, *words: str) -> Iterator[Terminal]:
    """Run a command at a terminal, without settings, in a directory of its own."""
    screen, keyboard = pty.openpty()
    inherited_environment = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "itemsapi", *words],
        cwd=folder,
        env=inherited_environment | {"TERM": "xterm", "COLUMNS": "80"},
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
    )
    os.close(keyboard)
    try:
        yield Terminal(process, screen)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT_SECONDS)
        os.close(screen)


def test_serve_asks_for_the_first_admin_at_a_terminal(tmp_path: Path) -> None:
    """An operator can answer there (S-043)."""
    with terminal(tmp_path, "serve", "--port", str(free_port())) as screen:
        screen.wait_for("Name of the first admin [admin]:")
        screen.type_line("root")
        assert "User       root" in screen.wait_for("Console")


@pytest.mark.parametrize(
    ("answer", "words"),
    [("y", "Ended everybody's sessions."), ("n", "itemsapi: nothing was changed")],
)
def test_a_command_that_cannot_be_undone_asks_at_a_terminal(
    tmp_path: Path, answer: str, words: str
) -> None:
    """It says what will happen, and waits for an answer."""
    shell_at(tmp_path / "itemsapi-data").run("db", "upgrade")
    with terminal(tmp_path, "sessions", "end", "--everybody") as screen:
        screen.wait_for("All users have to sign in again. Continue? [y/N]:")
        screen.type_line(answer)
        assert words in screen.wait_for(words)


def test_a_table_fits_the_terminal(tmp_path: Path) -> None:
    """Names and ids are not wrapped on a narrow terminal."""
    data = tmp_path / "itemsapi-data"
    shell = shell_at(data)
    shell.run("db", "upgrade")
    shell.run("users", "add", "a-name-of-some-length", "--role", "member")
    with terminal(tmp_path, "users", "list") as screen:
        seen = screen.wait_for("a-name-of-some-length ").splitlines()
    assert "…" not in "".join(seen)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in seen) <= 80


def test_serve_does_not_ask_without_a_terminal(tmp_path: Path) -> None:
    """A service manager cannot answer; the output says what to do."""
    inherited_environment = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    settings = {"ITEMSAPI_DOCS": "off", "ITEMSAPI_CONSOLE": "off"}
    arguments = ["serve", "--host", "127.0.0.77"]
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "itemsapi", *arguments],
        cwd=tmp_path,
        env=inherited_environment | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first_lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        remaining_output, error_output = process.communicate(timeout=TIMEOUT_SECONDS)
    assert first_lines[2].split() == ["API", "http://localhost:8000"]
    assert "docs" not in remaining_output.lower()
    assert "itemsapi users add NAME --role admin" in error_output


def test_the_key_table_shows_kid_and_state(tmp_path: Path) -> None:
    """In an emergency the signing key must be visible on any terminal width."""
    settings = Settings(data_dir=tmp_path / "itemsapi-data", secret_key=SECRET)
    shell = shell_at(settings.data_dir)
    shell.run("db", "upgrade")
    services = build_services(settings, now)
    services.key_set.snapshot()
    services.database.dispose()
    with terminal(tmp_path, "keys", "list") as screen:
        seen = screen.wait_for("next")
    assert "current" in seen
    assert all(row["kid"] in seen for row in shell.run("keys", "list", "--json").json)
