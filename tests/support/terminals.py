"""Terminals of a user who has an empty home and the installed wheel, on a machine of their own.

Each terminal is one `sh`, which keeps its variables and its folder from command to command. While
it serves it is busy: the next command in it ends the server first, as `Ctrl-C` does.
"""

import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.installed import TIMEOUT_SECONDS
from support.sandbox import Sandbox, other_user

BLOCK_SECONDS = 4 * TIMEOUT_SECONDS  # of several commands
CONTINUES = ("\\", "&&", "||", "|")  # how a line ends whose command goes on
END = "\x1e"  # separates the output of a command from its exit status
OPEN = (
    "mkdir -p {folder} && cd {folder} && exec sh <{folder}.{number}.in >{folder}.{number}.out 2>&1"
)
WAIT = r"""
until curl -s -o "$HOME/.response" -w '%{{http_code}}' '{url}' | grep -qx '[23]..\|401\|403'; do
    kill -0 {pid} 2>/dev/null || exit 1
    sleep 0.1
done
"""


class CommandFailed(AssertionError):
    """A command of a document ended with an error, or did not end."""


class Machine:
    """A home, a network and an environment of their own, for the terminals of a document."""

    def __init__(self, installed: Path, environment: dict[str, str], sandbox: Sandbox) -> None:
        """Start it; `installed` is the `bin` folder of the wheel."""
        self.home = sandbox.home
        give_away(self.home)
        self._terminals: dict[tuple[str, int], Terminal] = {}
        variables = {
            "HOME": str(self.home),
            "PATH": f"{installed}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            **environment,
        }
        words = [f"{name}={value}" for name, value in variables.items()]
        self._shell = subprocess.Popen(  # noqa: S603 - our own program
            sandbox.command_line("env", "-i", *words, "sh"), stdin=subprocess.PIPE, text=True
        )

    def terminal(self, folder: str, number: int) -> "Terminal":
        """Return a terminal in a folder of the home; open it at its first use."""
        if (folder, number) not in self._terminals:
            self._terminals[folder, number] = self._open(self.home / folder, number)
        return self._terminals[folder, number]

    def _open(self, folder: Path, number: int) -> "Terminal":
        pipes = [Path(f"{folder}.{number}.{way}") for way in ("in", "out")]
        for pipe in pipes:
            os.mkfifo(pipe)
            give_away(pipe)
        if self._shell.stdin is None or self._shell.poll() is not None:
            raise CommandFailed("the sandbox does not start")
        self._shell.stdin.write(f"({OPEN.format(folder=folder, number=number)}) &\n")
        self._shell.stdin.flush()
        return Terminal(folder, self._wait_for_reader(pipes[0]), pipes[1])

    def _wait_for_reader(self, pipe: Path) -> int:
        """Open a pipe for writing as soon as the shell reads it; it may not start at all."""
        ends = time.monotonic() + TIMEOUT_SECONDS
        while self._shell.poll() is None and time.monotonic() < ends:
            with suppress(OSError):
                return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            threading.Event().wait(0.05)
        raise CommandFailed("no shell starts in the sandbox")

    def leave(self, folder: str) -> None:
        """Stop what is served from a folder."""
        for (name, _), terminal in self._terminals.items():
            if name == folder:
                terminal.stop_serving()

    def __enter__(self) -> Self:
        """Return the machine."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End all its processes: they are in a namespace that ends with its first one."""
        for terminal in self._terminals.values():
            terminal.close()
        if self._shell.stdin:
            self._shell.stdin.close()
        self._shell.kill()
        self._shell.wait()


class Terminal:
    """One `sh` in a folder."""

    def __init__(self, folder: Path, into: int, out: Path) -> None:
        """Connect with a shell that reads and writes these pipes."""
        self.folder = folder
        self._input = open(into, "w", encoding="utf-8")  # noqa: SIM115 - open for as long as the shell
        self._output = out.open("rb", buffering=0)
        self._served: tuple[int, Path] | None = None
        self.run("set -e")

    def run(self, script: str) -> str:
        """Run commands to their end; return their output. Raise `CommandFailed` at an error."""
        self.stop_serving()
        return self._run(f". {self._save(script)} </dev/null")

    def serve(self, script: str, url: str) -> str:
        """Run commands of which the last serves, until `url` responds; return their output."""
        before, server = split_last_command(script)
        output, log = self.run(before), self.folder.with_suffix(".log")
        pid = int(self._run(f". {self._save(server)} </dev/null >{log} 2>&1 & echo $!"))
        self._served = pid, log
        try:
            self._run(f"({WAIT.format(url=url, pid=pid)})")
        except CommandFailed as failed:
            end = log.read_text("utf-8")[-4000:]
            raise CommandFailed(f"{url} does not respond: {end}") from failed
        return output + log.read_text("utf-8")

    def stop_serving(self) -> None:
        """Stop the server that keeps this terminal busy."""
        if self._served:
            pid, self._served = self._served[0], None
            children = f"$(cat /proc/{pid}/task/{pid}/children 2>/dev/null)"
            self._run(f"kill {children} {pid} 2>/dev/null || true; wait {pid} || true")

    def close(self) -> None:
        """Close the pipes, which ends the shell."""
        self._input.close()
        self._output.close()

    def _save(self, script: str) -> Path:
        path = self.folder.with_suffix(".sh")
        path.write_text(script, "utf-8")
        return path

    def _run(self, line: str) -> str:
        self._input.write(f"{line}\nprintf '{END}'\n")
        self._input.flush()
        output, ends = b"", time.monotonic() + BLOCK_SECONDS
        while not output.endswith(END.encode()):
            ready, _, _ = select.select([self._output], [], [], max(ends - time.monotonic(), 0))
            more = self._output.read(65536) if ready else b""
            if not more:
                raise CommandFailed(output.decode() or "no output, and no end")
            output += more
        return output.decode().removesuffix(END).replace("\r\n", "\n")


def split_last_command(script: str) -> tuple[str, str]:
    """Split a script before its last command, which may have several lines."""
    lines = script.strip().splitlines()
    first = len(lines) - 1
    while first and lines[first - 1].endswith(CONTINUES):
        first -= 1
    return "\n".join(lines[:first]), "\n".join(lines[first:])


def give_away(path: Path) -> None:
    """Give a file to the user whom the commands run as."""
    if user := other_user():
        os.chown(path, user, user)


@contextmanager
def open_machine(
    installed: Path, environment: dict[str, str] | None = None, **options: tuple[Any, ...]
) -> Iterator[Machine]:
    """Yield a machine; end its processes and remove its files afterwards.

    `options` are those of `Sandbox`.
    """
    python = (Path(sys.base_prefix), Path(sys.prefix), installed.parent)
    readable = (*python, *options.pop("readable", ()))
    with tempfile.TemporaryDirectory(prefix="document-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # the other user goes through it
        home = Path(folder, "home")
        home.mkdir()
        sandbox = Sandbox(home=home, readable=readable, **options)
        with Machine(installed, environment or {}, sandbox) as machine:
            yield machine
