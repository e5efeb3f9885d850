"""Run the `itemsapi` command in this process."""

import inspect
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner

from itemsapi.cli import main
from itemsapi.observability.logging import set_log_level

# Before click 8.2 standard error was part of the output unless one said otherwise.
SEPARATE_STDERR: dict[str, Any] = (
    {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
)
SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, parsed as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Shell:
    """An environment with settings to run commands in; none of the machine's own settings apply."""

    settings: dict[str, str] = field(default_factory=dict)

    def with_settings(self, **settings: str) -> "Shell":
        """Return this shell with some settings changed."""
        return Shell(self.settings | settings)

    def run(self, *arguments: str, stdin: str | bytes = "") -> CommandResult:
        """Run a command."""
        environ = {f"ITEMSAPI_{name.upper()}": value for name, value in self.settings.items()}
        runner = CliRunner(**SEPARATE_STDERR)
        with patch.dict(os.environ):  # `serve` sets variables for its workers
            result = runner.invoke(
                main, arguments, input=stdin, env=environ, catch_exceptions=False
            )
        set_log_level()  # commands raise it for their process
        return CommandResult(result.exit_code, result.stdout, result.stderr)


def shell_at(folder: Path, **settings: str) -> Shell:
    """Return a shell whose service keeps its data in a folder."""
    return Shell({"data_dir": str(folder), "secret_key": SECRET, **settings})
