"""Run what a page shows at a prompt, as its reader does, and compare what comes out."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.free_port import free_port
from support.installed import environment, wait_for_status

TIMEOUT_SECONDS = 300  # a busy machine takes long to start so many processes
PORT = "8000"  # that of the pages; each run takes a free one
# Plugins of other test tools of this environment, which take seconds to import.
PLUGINS = [f"-p no:{name}" for name in ("schemathesis", "hypothesispytest", "anyio", "xdist")]


@dataclass(frozen=True, slots=True)
class Terminal:
    """A folder with files, the installed wheel, and a port."""

    folder: Path
    installed: Path
    port: int

    @classmethod
    def in_folder(cls, folder: Path, installed: Path) -> "Terminal":
        """Return a terminal with a port of its own."""
        return cls(folder, installed, free_port())

    def output_of(self, script: str) -> str:
        """Run the commands of a shell; return all that they print."""
        with self.started(script, subprocess.PIPE) as process:
            output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        return output.replace(f"localhost:{self.port}", f"localhost:{PORT}")

    @contextmanager
    def serving(self, script: str, url: str) -> Iterator[None]:
        """Run a service until the block ends, once it responds at an address."""
        with self.started(script, subprocess.DEVNULL) as process:
            try:
                wait_for_status(self.port, f"/{url.partition('/')[2]}", process)
                yield
            finally:
                with suppress(ProcessLookupError):  # it could not start
                    os.killpg(process.pid, signal.SIGTERM)

    def started(self, script: str, output: int) -> subprocess.Popen[str]:
        """Start a shell that is the leader of its processes."""
        return subprocess.Popen(  # noqa: S603 - what our own pages show
            ["/bin/bash", "-c", script.replace(PORT, str(self.port))],
            cwd=self.folder,
            env=reader_environment(self.installed),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def reader_environment(installed: Path) -> dict[str, str]:
    """Return the environment of somebody at a terminal, not that of a test run."""
    own = {"CI", "BUILD_NUMBER", "COLUMNS", "SHOP_SECRET"}  # pytest cuts lines without these
    clean = environment(installed).items()
    kept = {k: v for k, v in clean if k not in own and not k.startswith("PYTEST_")}
    return kept | {"PYTEST_ADDOPTS": " ".join(PLUGINS)}


def commands(transcript: str) -> str:
    """Return the lines that a reader types."""
    typed = [line[2:] for line in transcript.splitlines() if line.startswith("$ ")]
    return "\n".join(typed)


def matches(transcript: str, output: str) -> bool:
    """Return whether the output is the shown one; `...` stands for anything."""
    shown = [line for line in transcript.splitlines() if not line.startswith("$ ")]
    pattern = "".join(map(line_pattern, shown))
    return re.fullmatch(pattern, f"{output.rstrip()}\n" if output else "") is not None


def line_pattern(line: str) -> str:
    """Return the pattern of a shown line."""
    if line == "...":
        return r"(?:.*\n)*?"
    return ".*".join(re.escape(part) for part in line.split("...")) + r"\n"
