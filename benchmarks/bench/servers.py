"""Servers: each in a process group of its own, on one core, until the measurement ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.wrk import pinned

START_SECONDS = 60.0
TERMINATED = 143  # the exit code of a program that SIGTERM ends


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, core: int | None
) -> Iterator[str]:
    """Run a server; yield its address when it listens. `PORT` in the command is its port.

    Its log and its process id are in `server.log` and `server.pid` of the folder.

    Raise `RuntimeError` with the end of its log if it does not start.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # then `finally` runs too
    port = free_port()
    words = [*pinned(core), *(word.replace("PORT", str(port)) for word in command)]
    log_file = folder / "server.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a contestant
            words,
            env=os.environ | environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        (folder / "server.pid").write_text(str(process.pid))
        try:
            _wait(process, port, log_file)
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the server and its workers; those that do not stop are killed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
