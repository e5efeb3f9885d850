"""The command at a real terminal: what it asks, and how it shows a table."""

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

from itemsapi.clock import now
from itemsapi.services import build_services
from itemsapi.settings import Settings
from support.command_line import SECRET, free_port, shell_at

WITHIN = 60.0  # seconds, on a machine that does other things too


@dataclass
class Terminal:
    """A terminal with a command in it."""

    process: "subprocess.Popen[bytes]"
    screen: int
    seen: str = ""

    def shows(self, words: str) -> str:
        """Wait for words on the screen; return all that was on it."""
        ends = time.monotonic() + WITHIN
        while words not in self.seen:
            assert time.monotonic() < ends, self.seen
            if select.select([self.screen], [], [], 1)[0]:
                self.seen += self._read()
        return self.seen

    def types(self, words: str) -> None:
        """Type a line."""
        os.write(self.screen, f"{words}\n".encode())

    def _read(self) -> str:
        try:
            return os.read(self.screen, 4096).decode()
        except OSError:  # the command has ended
            raise AssertionError(self.seen) from None


@contextmanager
def terminal(folder: Path, *words: str) -> Iterator[Terminal]:
    """Run a command at a terminal, with nothing set, in a directory of its own."""
    screen, keyboard = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "itemsapi", *words],
        cwd=folder,
        env=clean | {"TERM": "xterm", "COLUMNS": "80"},
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
        process.wait(WITHIN)
        os.close(screen)


def test_the_first_admin_is_asked_for(tmp_path: Path) -> None:
    """Where somebody sits who can answer (S-043)."""
    with terminal(tmp_path, "serve", "--port", str(free_port())) as screen:
        screen.shows("Name of the first admin [admin]:")
        screen.types("root")
        assert "User       root" in screen.shows("Console")


def test_a_table_fits_the_terminal(tmp_path: Path) -> None:
    """Names and ids stay in one piece, however narrow it is."""
    data = tmp_path / "itemsapi-data"
    shell = shell_at(data)
    shell.run("db", "upgrade")
    shell.run("users", "add", "a-name-of-some-length", "--role", "member")
    with terminal(tmp_path, "users", "list") as screen:
        seen = screen.shows("a-name-of-some-length ").splitlines()
    assert "…" not in "".join(seen)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in seen) <= 80


def test_nobody_is_asked_where_nobody_sits(tmp_path: Path) -> None:
    """A service manager has no keyboard; it is told what to do."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ITEMSAPI_")}
    settings = {"ITEMSAPI_DOCS": "off", "ITEMSAPI_CONSOLE": "off"}
    words = ["serve", "--host", "127.0.0.77"]
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "itemsapi", *words],
        cwd=tmp_path,
        env=clean | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        more, warned = process.communicate(timeout=WITHIN)
    assert said[2].split() == ["API", "http://localhost:8000"]
    assert "docs" not in more.lower()
    assert "itemsapi users add NAME --role admin" in warned


def test_keys_are_shown_with_all_that_matters(tmp_path: Path) -> None:
    """In an emergency nobody widens the terminal first: which key signs must be seen."""
    settings = Settings(data_dir=tmp_path / "itemsapi-data", secret_key=SECRET)
    shell = shell_at(settings.data_dir)
    shell.run("db", "upgrade")
    services = build_services(settings, now)
    services.key_set.snapshot()
    services.database.dispose()
    with terminal(tmp_path, "keys", "list") as screen:
        seen = screen.shows("next")
    assert "current" in seen
    assert all(row["kid"] in seen for row in shell.run("keys", "list", "--json").json)
