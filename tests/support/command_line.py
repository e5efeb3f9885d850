"""The `itemsapi` command, run in this process."""

import json
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner

from itemsapi.cli import main

SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command did: its exit code, and what it wrote where."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it wrote, read as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell with settings in its environment; none of the machine's own are there."""

    settings: dict[str, str] = field(default_factory=dict)

    def with_settings(self, **settings: str) -> "Shell":
        """Return this shell with settings changed."""
        return Shell(self.settings | settings)

    def run(self, *words: str, stdin: str | bytes = "") -> CommandResult:
        """Run a command."""
        environ = {f"ITEMSAPI_{name.upper()}": value for name, value in self.settings.items()}
        runner = CliRunner()
        with patch.dict(os.environ):  # `serve` sets what its workers read
            result = runner.invoke(main, words, input=stdin, env=environ, catch_exceptions=False)
        return CommandResult(result.exit_code, result.stdout, result.stderr)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shell_at(folder: Path, **settings: str) -> Shell:
    """Open a shell whose service keeps its data in a folder."""
    return Shell({"data_dir": str(folder), "secret_key": SECRET, **settings})
